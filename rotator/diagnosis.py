"""doctor: each thing that has to work, tried, with cause and remedy where it does not."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from rotator import intents, looking, verification
from rotator.errors import ExitStatus, KeyStoreCorrupt, RotatorError, ServerError
from rotator.model import ProxyService, ProxySpec, Verdict, counted, short
from rotator.planning.provisioning import Surroundings, described, plan
from rotator.planning.rights import lacking, only_reads
from rotator.planning.signing import in_words, mismatches
from rotator.ports import LARGEST_OFFSET, Repository, SecretStore
from rotator.scene import Scene


LARGEST_CLOCK_DIFFERENCE: Final = timedelta(seconds=30)
"""Beyond it tokens come close to being not valid yet: they begin 60 s before they are made."""
SOON: Final = timedelta(days=30)
MAY: Final = (
    r"with a client certificate use the user INTERNAL\sa_api; a service user gets its rights in the QMC under Security "
    "rules: to rotate, Update on that virtual proxy; to create, Create and Update on VirtualProxyConfig_* and Update on "
    "ProxyService_*"
)
_PROBE_ITEM: Final = "doctor"


class Health(StrEnum):
    """How a thing is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing that was tried, which `check` names, and what came of it. `host`: the proxy, where it is about one.

    `failure`: the exit status where it failed.
    """

    check: str
    health: Health
    message: str
    hint: str | None = None
    host: str = ""
    failure: ExitStatus = ExitStatus.FAILED


def tried(check: str, attempt: Callable[[], Trial | str]) -> Trial:
    """What came of `attempt`: its own finding, a sentence that says all is well, or its error."""
    try:
        came = attempt()
    except RotatorError as error:
        return failed(check, error)
    return Trial(check, Health.OK, came) if isinstance(came, str) else came


def failed(check: str, error: RotatorError) -> Trial:
    """An error as what came of a trial. What is refused for good by other commands (78) is a finding like others here."""
    person = error.exit_status is ExitStatus.PERSON_NEEDED
    status = ExitStatus.PERSON_NEEDED if person else ExitStatus.FAILED
    return Trial(check, Health.FAILED, error.message, error.hint, failure=status)


def keyring(store: SecretStore, backend: str) -> Trial:
    """An item written, read back through a new connection, and deleted."""

    def attempt() -> str:
        text = secrets.token_hex(16)
        store.set(_PROBE_ITEM, text)
        try:
            if store.reopened().get(_PROBE_ITEM) != text:
                raise KeyStoreCorrupt(
                    f"the keyring {backend} does not give back what was stored",
                    hint="it must not hold keys in this state: see that it is unlocked, and no session-only collection",
                )
        finally:
            store.delete(_PROBE_ITEM)
        return f"{backend} stores, gives back and deletes"

    return tried("keyring", attempt)


def site(repository: Repository, certificate_ends: datetime | None, now: datetime) -> Iterator[Trial]:
    """QRS: reached, over verified TLS, with credentials that work; rights; clocks; the client certificate's end."""
    reached = tried("qrs", lambda: f"version {repository.build_version()}, TLS and credentials accepted")
    yield reached
    if certificate_ends is not None:
        yield _certificate(certificate_ends, now)
    offset = repository.clock_offset()
    if reached.health is Health.FAILED:
        if offset is not None:  # which may be why
            yield _clock(offset)
        return
    yield tried("rights", lambda: _rights(repository))
    yield _clock(offset)


def _rights(repository: Repository) -> Trial | str:
    proxies, nodes, virtual = repository.proxies(), repository.nodes(), repository.virtual_proxies()
    seen = ", ".join(
        (
            counted(len(virtual), "virtual proxy", "virtual proxies"),
            counted(len(proxies), "proxy", "proxies"),
            counted(len(nodes), "node"),
        )
    )
    if proxies and nodes and virtual:
        sees = f"sees {seen}"
        try:
            told = repository.privileges()
        except ServerError:
            return sees  # what may be changed is asked, and missed, for each virtual proxy
        return Trial("rights", Health.WARNING, f"{sees}, and may only read them", MAY) if only_reads(told) else sees
    return Trial(
        "rights",
        Health.FAILED,
        f"the user sees {seen}",
        r"with a client certificate use the user INTERNAL\sa_api; a service user needs Read on VirtualProxyConfig_*, "
        "ProxyService_* and ServerNodeConfiguration_*",
    )


def rights(repository: Repository, prefix: str) -> Trial:
    """Whether the caller may create the virtual proxy with this prefix, or change the one that is there.

    The server is asked, nothing is tried: that would cut sessions. A caller that may not is a warning, since what the
    server tells is not the whole of its rules; so is a server that does not tell.
    """
    untold = "what the user may change could not be asked"
    try:
        there = repository.find(prefix)
        missing = lacking(repository.privileges(), there.id if there else None)
    except ServerError as error:
        return Trial("rights", Health.WARNING, f"{untold}: {error.message}", MAY)
    if missing is None:
        return Trial("rights", Health.WARNING, f"{untold}: this server does not tell", MAY)
    doing = "change this virtual proxy" if there else "create this virtual proxy and link it"
    if missing:
        return Trial("rights", Health.WARNING, f"the user may not {doing}: it lacks {', '.join(missing)}", MAY)
    return Trial("rights", Health.OK, f"the user may {doing}")


def _certificate(ends: datetime, now: datetime) -> Trial:
    told = f"the client certificate is valid until {ends:%Y-%m-%d}"
    if ends > now + SOON:
        return Trial("client-certificate", Health.OK, told)
    return Trial(
        "client-certificate",
        Health.WARNING if ends > now else Health.FAILED,
        told,
        "export a new one in the QMC under Certificates, and put it in place of the old one",
    )


def _clock(offset: float | None) -> Trial:
    if offset is None:
        return Trial("clock", Health.WARNING, "the server does not tell its time", None)
    if abs(offset) >= LARGEST_OFFSET:
        return Trial(
            "clock",
            Health.FAILED,
            "the server's clock differs by a day or more",
            "set the clock that is wrong: until then no new key is put in place",
        )
    # The server tells whole seconds, cut off.
    told = (
        f"the server's clock differs by {offset:+.0f} s"
        if abs(offset) > 1
        else "the server's clock agrees with this one"
    )
    if abs(offset) <= LARGEST_CLOCK_DIFFERENCE.total_seconds():
        return Trial("clock", Health.OK, told)
    return Trial(
        "clock", Health.WARNING, told, "set both clocks by NTP: others' tokens fail when they are off by a minute"
    )


def virtual_proxy(scene: Scene) -> Iterator[Trial]:
    """One virtual proxy: there, with a certificate whose key is ours, as configured, linked, each proxy answering."""
    spec = scene.spec
    if scene.way != spec.prefix:  # which this user is not to change
        yield rights(scene.world.repository, spec.prefix)
    try:
        observed = looking.look(scene, scene.world.keystore.ring())
    except RotatorError as error:
        yield failed("virtual-proxy", error)
        return
    hosts = ", ".join(proxy.host for proxy in observed.proxies)
    yield Trial("virtual-proxy", Health.OK, f"prefix {spec.prefix!r}, linked to {hosts}")
    yield (key := tried("key", lambda: _key(scene, observed)))
    settings = tried("settings", lambda: _settings(spec, scene, observed))
    if settings.message != key.message:  # what stops both is told once
        yield settings
    yield _claims(spec, observed)
    for proxy in observed.proxies:
        yield from (replace(finding, host=proxy.host) for finding in _proxy(scene, observed, proxy))


def _proxy(scene: Scene, observed: looking.Observed, proxy: ProxyService) -> Iterator[Trial]:
    spec, logins = scene.spec, scene.world.logins
    if not logins.reachable(proxy):
        yield Trial("proxy", Health.WARNING, verification.SKIPPED_DETAIL)
        return
    outcome = logins.attempt(proxy, observed.virtual_proxy, None, spec.test_user)
    if outcome.verdict is Verdict.REFUSED:
        yield Trial("proxy", Health.OK, "answers, and refuses a login without a token")
        yield _clock(logins.clock_offset(proxy))
        return
    yield Trial(
        "proxy",
        Health.FAILED,
        f"a login without a token came out as {outcome.verdict}: {outcome.detail}",
        f"see that it is up and its certificate fits; another address goes into [site.{spec.site}.probe]",
    )


def _key(scene: Scene, observed: looking.Observed) -> Trial | str:
    """The current key is on the server, can be read from the keyring, and logs in."""
    ring = observed.ring
    looking.first_step(scene, observed)
    if ring.intent is not None:
        return Trial(
            "key",
            Health.WARNING,
            f"a change of the certificate ({ring.intent.kind}) is under way",
            f"finish or undo it: rotator rotate {scene.spec.name}",
        )
    scene.world.keystore.whole()
    current = intents.current(ring)
    scene.tests.proven(scene.world.keystore.key(current), observed.virtual_proxy, observed.proxies)
    return f"the key {short(current.fingerprint)} is in the keyring and logs in"


def _claims(spec: ProxySpec, observed: looking.Observed) -> Trial:
    """What a token has to carry, for those who sign their own; and whether rotator's do."""
    found = [*mismatches(spec, observed.ring, observed.virtual_proxy)]
    if found:
        message = "; ".join(mismatch.message for mismatch in found)
        remedies = "; ".join(mismatch.remedy for mismatch in found)
        return Trial("claims", Health.WARNING, message, remedies)
    return Trial("claims", Health.OK, f"a token carries: {in_words(observed.virtual_proxy)}")


def _settings(spec: ProxySpec, scene: Scene, observed: looking.Observed) -> Trial | str:
    repository = scene.world.repository
    around = Surroundings(repository.virtual_proxies(), repository.proxies(), repository.nodes())
    standing = looking.found(scene, observed.ring, observed.virtual_proxy.fingerprint)
    rows = described(plan(spec, observed.ring, observed.virtual_proxy, around, standing))
    if not rows:
        return "as configured"
    fields = ", ".join(str(row["field"]) for row in rows)
    return Trial(
        "settings",
        Health.WARNING,
        f"differs from the configuration in: {fields}",
        f"see rotator create-proxy {spec.name} --plan, then run it without --plan",
    )
