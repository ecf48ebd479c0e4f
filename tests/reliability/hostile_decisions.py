"""What rotator decides and tells about a server's answers, in every way in which a keyring can stand to them.

The verbs are the real ones; server, keyring and proxies are stand-ins that give what was read, and obey.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from typing import Any, Final

from qlik_answers import NODE, PREFIX, PROXY, USER, VIRTUAL_PROXY
from values import NOW, key, ring, spec

from rotator import adoption, diagnosis, inspection, provisioning, recovery
from rotator.cli.init.proxies import claims_of
from rotator.cli.status import _row
from rotator.errors import KeyNotFound, NotFound, RotatorError
from rotator.keys import digest
from rotator.keystore import codec
from rotator.model import (
    AnyTime,
    Attribute,
    Auth,
    Cut,
    Digest,
    Fingerprint,
    Intent,
    IntentKind,
    Json,
    KeyVersion,
    LoginOutcome,
    Memory,
    Node,
    Privileges,
    ProxyService,
    ProxySpec,
    Result,
    Ring,
    Rotation,
    Stage,
    User,
    Verdict,
    VirtualProxy,
)
from rotator.planning import stages
from rotator.planning.entity import baseline_of
from rotator.planning.standing import standing
from rotator.ports import World
from rotator.qlik import wire
from rotator.qlik.transport import Answer
from rotator.recorded import Unrecorded
from rotator.report import text
from rotator.report.document import document, rendered
from rotator.scene import Scene


SPEC: Final = replace(
    spec(),
    prefix=PREFIX,
    description=str(VIRTUAL_PROXY["description"]),
    test_user=User(*USER),
    attributes=(Attribute("groups", "group", mandatory=True), Attribute("mail", "email")),
    host_allow_list=("qlik.example.com", "portal.example.com"),
    additional_response_headers=("X-Frame-Options: DENY",),
    audience="portal",
    rotation=Rotation(windows=AnyTime(), settle_timeout=timedelta(0)),
)
NAMED: Final = frozenset(
    {
        "description", "session_cookie", "session_inactivity_timeout", "user_id_claim", "user_directory_claim",
        "audience", "nodes", "host_allow_list", "additional_response_headers", "attributes",
    }
)  # fmt: skip
LONG_AGO: Final = NOW - timedelta(days=99)
_PROPER: Final = Answer("GET", "https://localhost/", 200, {}, {}, b"")


def proper_virtual_proxy() -> VirtualProxy:
    return wire.virtual_proxy(VIRTUAL_PROXY, _PROPER)


def proper_proxy() -> ProxyService:
    return wire.proxy_service(PROXY, _PROPER)


@dataclass(frozen=True)
class Seen:
    """Implements ports.Repository, Logins, Sessions and Clock: what was read of a server, which takes what it is sent."""

    virtual_proxy_seen: VirtualProxy | None
    others: tuple[VirtualProxy, ...] = ()
    proxies_seen: tuple[ProxyService, ...] = ()
    nodes_seen: tuple[Node, ...] = ()
    told: Privileges = Privileges({}, {})  # noqa: RUF009 - it is frozen

    def build_version(self) -> str:
        return "30.4.0.0"

    def clock_offset(self, proxy: ProxyService | None = None) -> float:
        return 0.0

    def virtual_proxies(self) -> tuple[VirtualProxy, ...]:
        return self.others

    def virtual_proxy(self, proxy_id: str) -> VirtualProxy:
        if self.virtual_proxy_seen is None:
            raise NotFound("there is none")
        return self.virtual_proxy_seen

    def find(self, prefix: str) -> VirtualProxy | None:
        return self.virtual_proxy_seen

    def create(self, body: Mapping[str, Json]) -> VirtualProxy:
        json.dumps(body)
        return _readable(proper_virtual_proxy())

    def update(self, entity: Mapping[str, Json]) -> VirtualProxy:
        json.dumps(entity)
        return self.virtual_proxy(str(entity["id"]))

    def proxies(self) -> tuple[ProxyService, ...]:
        return self.proxies_seen

    def nodes(self) -> tuple[Node, ...]:
        return self.nodes_seen

    def privileges(self) -> Privileges:
        return self.told

    def link(self, proxy: ProxyService, proxy_id: str) -> None:
        return

    def reachable(self, proxy: ProxyService) -> bool:
        return True

    def refresh(self) -> None:
        return

    def attempt(self, proxy: ProxyService, virtual_proxy: VirtualProxy, token: str | None, user: User) -> LoginOutcome:
        return LoginOutcome(Verdict.ACCEPTED if token else Verdict.REFUSED, "as it should be")

    def count(self, proxy: ProxyService) -> int:
        return 1

    def now(self) -> Any:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        return


class Key:
    """A private key that signs anything."""

    def token(self, claims: Mapping[str, Json], algorithm: Any) -> str:
        return json.dumps(claims)


class Kept:
    """Implements ports.KeyStore in memory; what it is given it writes and reads as the keyring does."""

    def __init__(self, kept: Ring) -> None:
        self._ring = kept

    def ring(self) -> Ring:
        return self._ring

    def save(self, changed: Ring) -> Ring:
        self._ring = codec.decode(codec.encode(changed), "index")
        assert self._ring.baseline == changed.baseline
        return self._ring

    def add_key(self, version: KeyVersion, made: Any) -> None:
        raise AssertionError("nothing is made here")

    def key(self, version: KeyVersion) -> Any:
        if version.kid == "lost":
            raise KeyNotFound("it is lost", hint="look for it")
        return Key()

    def add_certificate(self, certificate: str) -> Digest:
        return digest(certificate)

    def certificate(self, name: Digest) -> str:
        return ""

    def remove(self, kept: Ring, version: KeyVersion) -> None:
        return

    def clear(self) -> None:
        return

    def memory(self) -> Memory:
        return Memory.INTACT

    def whole(self) -> None:
        return

    def accept(self) -> None:
        return


def rings(seen: VirtualProxy | None) -> Iterator[Ring]:
    """How a keyring can stand to what the server shows."""
    shown = (seen and seen.fingerprint) or Fingerprint("a" * 64)
    over = (seen and seen.modified) or None
    other, third = key("b"), replace(key("c", Stage.RETIRED), since=LONG_AGO, sent_over=over)
    ours = replace(key("a"), fingerprint=shown)
    intent = Intent("i", IntentKind.ROTATE, NOW, shown, None, other.fingerprint)
    yield Ring()
    yield ring(ours)
    yield ring(replace(ours, kid="lost"))
    yield ring(ours, replace(other, stage=Stage.PREVIOUS), third, replace(third, item="x", sent_over="2026-01-01"))
    yield ring(other)
    yield ring(other, replace(ours, stage=Stage.PREVIOUS))
    for undoing in (False, True):
        pending = replace(other, stage=Stage.PENDING)
        yield replace(ring(ours, pending), intent=replace(intent, undoing=undoing))


def decided(seen: Seen) -> list[Any]:
    """All that comes of it: results, findings and errors."""
    found = seen.virtual_proxy_seen
    came: list[Any] = []
    for kept, auth, named in product(rings(found), (Auth.CERTIFICATE, Auth.JWT), (frozenset[str](), NAMED)):
        known = stages.with_baseline(kept, found.id, baseline_of(found)) if found and auth is Auth.JWT else kept
        made = replace(SPEC, named=named)
        for verb in VERBS:
            try:
                came += verb(_scene(seen, made, auth, known))
            except RotatorError as error:
                came.append(error)
    claims = claims_of(found)
    assert claims is None or all(isinstance(claim, str) for claim in claims)
    different = {
        (type(item), item.message, item.hint, repr(getattr(item, "extra", {}).get("plan"))): item for item in came
    }
    for item in different.values():
        _show(item)
    return [*different.values()]


def _scene(seen: Seen, made: ProxySpec, auth: Auth, kept: Ring) -> Scene:
    def generate(bits: int) -> Any:
        raise KeyNotFound("nothing is made here", hint="do without")

    def consent(cuts: Any) -> bool:
        assert all(isinstance(cut, Cut) for cut in cuts)
        return True

    lines: list[str] = []
    # The stand-ins have what verbs ask of them, and nothing more.
    parts: Any = (seen, seen, seen, Kept(kept), Unrecorded(), seen, None, generate, lines.append, consent)
    return Scene(made, auth, World(*parts))


def _show(item: Any) -> None:
    """In every form that a person or a script is shown, in which there may be what the server said, to be read alone."""
    if not isinstance(item, Result):
        return
    forms = [text.with_checks(item), text.plan(item)]
    if "linked" in item.extra:
        forms.append(text.table(("name",) * 8, [_row(item)]))
    assert all(line.isprintable() for form in forms for line in form.split("\n")), forms
    rendered(document("status", 0, [item], []))


def _confirmed(scene: Scene) -> list[Result]:
    shown = adoption.shown_fingerprint(scene)
    adoption.check_confirmed(scene.spec.name, shown, shown or "none", "adopt")
    return []


def _stands(scene: Scene) -> list[Result]:
    standing(scene.spec, scene.world.keystore.ring(), NOW)
    return []


VERBS: Final[tuple[Callable[[Scene], list[Any]], ...]] = (
    lambda scene: [provisioning.create_proxy(scene, plan_only=True)],
    lambda scene: [provisioning.create_proxy(scene)],
    lambda scene: [inspection.status(scene)],
    lambda scene: [recovery.prune(scene, 0)],
    lambda scene: [*diagnosis.virtual_proxy(scene)],
    lambda scene: [*diagnosis.site(scene.world.repository, NOW, NOW)],
    _confirmed,
    _stands,
)


def _readable(found: VirtualProxy) -> VirtualProxy:
    """The same with a certificate that can be read, without which most decisions end early."""
    shown = found.fingerprint or Fingerprint("a" * 64)
    return replace(found, fingerprint=shown, not_after=found.not_after or NOW + timedelta(days=1825))


def of_virtual_proxy(found: VirtualProxy | None) -> list[Any]:
    """What is decided about a virtual proxy, everything around it being proper."""
    if found is None:
        return []
    nodes = (wire.node(NODE, _PROPER), Node("n2", "rim.localhost"))
    proxies = (replace(proper_proxy(), virtual_proxies=frozenset({found.id})),)
    seen = Seen(found, (found,), proxies, nodes, Privileges({}, {}))
    readable = _readable(found)
    return decided(seen) + decided(replace(seen, virtual_proxy_seen=readable, others=(readable,)))


def of_surroundings(
    others: tuple[VirtualProxy, ...], proxies: tuple[ProxyService, ...], nodes: tuple[Node, ...], told: Privileges
) -> list[Any]:
    """What is decided about a proper virtual proxy, and about one that is to be made, in these surroundings."""
    found = _readable(proper_virtual_proxy())
    return decided(Seen(found, others, proxies, nodes, told)) + decided(Seen(None, others, proxies, nodes, told))
