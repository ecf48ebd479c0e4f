"""A site, its rotators, everybody else, and the promises that hold between them at every instant.

The promises are read from the server and from the items of the keyrings by code of its own, none of rotator's.
"""

import copy
import json
from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwk, jwt
from values import spec as made_spec

from rotator.keys import PrivateKey
from rotator.model import AnyTime, ProxySpec, Rotation
from rotator.sandbox.repository import Entity
from worlds import pool
from worlds.effects import VANISH
from worlds.keyring import INDEX, spki
from worlds.rotators import Ended, Rotator
from worlds.server import CERTIFICATE, HOSTS, VIRTUAL_PROXIES, Request, Server, body_of, fingerprint
from worlds.timeline import Timeline


SETTLE: Final = timedelta(seconds=10)
ROTATION: Final = Rotation(key_bits=pool.BITS, windows=AnyTime(), settle_timeout=SETTLE)
STAMPS: Final = frozenset({"modifiedDate", "modifiedByUserName"})
REPAIRED: Final = frozenset({"loadBalancingServerNodes"})
"""What create-proxy may change of a virtual proxy whose configuration names nothing."""
WITNESS: Final = ("ORACLE", "witness")
"""A user of its own, so that sessions that rotator leaves behind do not keep the witness out."""
_known_fingerprint = lru_cache(maxsize=4096)(fingerprint)


class Broken(AssertionError):
    """A promise that was not kept."""


class World:
    """Everything there is. `promise` raises Broken at the instant at which a promise is broken."""

    def __init__(self, folder: Path, *unknowns: str, spec: ProxySpec | None = None) -> None:
        self.folder = folder
        self.timeline = Timeline()
        self.server = Server(self.timeline, *unknowns)
        self.spec = spec or made_spec(rotation=ROTATION)
        self.outside: dict[str, PrivateKey] = {}
        """Keys that other people hold."""
        self.lost: set[str] = set()
        """Keys that were in a keyring until the keyring itself was lost, and have not come back."""
        self.made: list[PrivateKey] = []
        self.others: dict[str, PrivateKey] = {}
        self._accepted: set[tuple[str, str]] = set()
        self._before: dict[str, str | None] = {}
        self._wrote: dict[str, bool] = {}
        self._found: dict[tuple[str, str], str] = {}
        """The certificate that the server held when a rotator's intent was opened: what an undo may put back."""
        self.rotators: list[Rotator] = []
        self.one = self.rotator("one")

    def rotator(self, name: str) -> Rotator:
        made = Rotator(self, name, self.spec, self.folder)
        self.rotators.append(made)
        return made

    def other_key(self, bits: int) -> PrivateKey:
        """The one of this size: what a verification shows as a stranger's, or a key of another size than usual."""
        made = PrivateKey(pool.rsa_key(bits))
        self.others[f"K-{bits}"] = made
        return made

    def new_key(self) -> PrivateKey:
        made = PrivateKey(pool.key(len(self.made)))
        self.made.append(made)
        return made

    @property
    def prefix(self) -> str:
        return self.spec.prefix

    # --- what rotator does to the server

    def sends(self, rotator: Rotator, request: Request) -> None:
        """A request goes out, and may arrive whenever it likes: what it brings, somebody must be able to log in with.

        Raises Broken where the key of its certificate is not in the keyring now, unless an undo puts back what was there.
        """
        if request.method not in ("PUT", "POST") or not request.path.startswith(VIRTUAL_PROXIES):
            return
        text = str(body_of(request).get(CERTIFICATE) or "")
        brought = _known_fingerprint(text)
        if brought is None or brought in rotator.keyring.fingerprints() or text == self._way_back(rotator):
            return
        raise Broken(f"{rotator.verb} sends the certificate of {brought[:12]}, whose key it does not have")

    def _way_back(self, rotator: Rotator) -> str | None:
        """The certificate that was there before the change under way; None without one."""
        intent = rotator.intent()
        return self._found.get((rotator.name, intent["id"])) if intent else None

    def answer(self, rotator: Rotator, service: str, host: str, request: Request) -> web.Response:
        """The server's answer to a rotator's request. Raises Down, and Broken where the request breaks a promise."""
        if service == "qps":
            return self.server.sessions_answer(host, request)
        if service == "proxy":
            return self.server.proxy_answer(host, request)
        if request.method == "GET":
            return self.server.repository_answer(request)
        repository = self.server.repository
        entities = {key: copy.deepcopy(item) for key, item in repository.virtual_proxies.items()}
        links = {key: list(item["links"]) for key, item in repository.proxies.items()}
        response = self.server.repository_answer(request)
        if response.status < 300:
            self._wrote[rotator.name] = True
            for key, item in repository.virtual_proxies.items():
                if key in entities and item != entities[key]:
                    self._check_put(rotator, entities[key], item, request)
            for key, before in links.items():
                if not set(before) <= set(repository.proxies[key]["links"]):
                    raise Broken(f"{rotator.verb} took a link away")
        return response

    def _check_put(self, rotator: Rotator, before: Entity, after: Entity, request: Request) -> None:
        """Only the certificate changes, and nobody's login is taken without asking."""
        sent = json.loads(request.data or b"null")
        if before["modifiedDate"] < sent.get("modifiedDate", ""):
            return  # the server's clock went back: it took an edit of what is not there any more for the newest
        allowed = {CERTIFICATE} | STAMPS | (REPAIRED if rotator.verb == "create-proxy" else frozenset())
        changed = {name for name in after if _bare(name, after[name]) != _bare(name, before.get(name))}
        if not changed <= allowed and not rotator.spec.named:
            raise Broken(f"{rotator.verb} changed {sorted(changed - allowed)}")
        shown, goes = _known_fingerprint(before[CERTIFICATE]), _known_fingerprint(after[CERTIFICATE])
        theirs = rotator.keyring.fingerprints() | rotator.ends() | {rotator.confirmed, goes, None}
        if shown not in theirs:
            raise Broken(f"{rotator.verb} overwrote the certificate of {str(shown)[:12]}, which it does not know")
        if goes is None and shown is not None and self._way_back(rotator) != "":
            raise Broken(f"{rotator.verb} took the certificate of {shown[:12]} away, and put none in its place")

    # --- what rotator does to a keyring

    def stored(self, rotator: Rotator, item: str, text: str) -> None:
        """A key becomes current only after it has logged in on every linked proxy, in this very run."""
        if not item.endswith(INDEX):
            return
        ring = json.loads(text)
        if ring["intent"] is not None:
            found = self.server.virtual_proxy(self.prefix)
            self._found.setdefault((rotator.name, ring["intent"]["id"]), found[CERTIFICATE] if found else "")
        current = next((key["fingerprint"] for key in ring["keys"] if key["stage"] == "current"), None)
        was = rotator.current
        rotator.current = current
        if current is None or current == was:
            return
        skipped = {host for host, route in rotator.site.probe.items() if route.skip}
        linked = set(self.server.linked(self.prefix)) - skipped
        missing = sorted(host for host in linked if (host, current) not in self.server.logins)
        if missing and not rotator.effects.disturbed:
            raise Broken(f"{rotator.verb} made {current[:12]} current, which has not logged in on {missing}")

    # --- promises

    def known(self) -> set[str]:
        """The keys that somebody has, or could have but for a keyring that was lost."""
        held = set[str]().union(*(rotator.keyring.fingerprints() for rotator in self.rotators))
        self.lost -= held
        return held | set(self.outside) | self.lost

    def watch(self) -> None:
        """At every instant: the server's certificate, and each that a proxy serves, belongs to a key in the keyring."""
        known = self.known()
        shown = self.shown()
        if shown is not None and shown not in known:
            raise Broken(f"the server shows {shown[:12]}, whose key nobody has")
        for host in HOSTS:
            served = self.served(host)
            if served is not None and served not in known:
                raise Broken(f"{host} serves {served[:12]}, whose key nobody has")
        for text in self.server.could_land():
            late = _known_fingerprint(text)
            if late is not None and late not in known:
                raise Broken(f"a late PUT could bring {late[:12]} to the server, whose key nobody has")

    def shown(self) -> str | None:
        found = self.server.virtual_proxy(self.prefix)
        return _known_fingerprint(found[CERTIFICATE]) if found else None

    def served(self, host: str) -> str | None:
        found = self.server.applied(host, self.prefix)
        return _known_fingerprint(found[CERTIFICATE]) if found else None

    def check_logins(self) -> None:
        """On every proxy that answers, a key that is kept logs in as the right user."""
        for host in HOSTS:
            served = self.served(host)
            key = self.held(served) if served else None
            if key is None:
                continue
            session = self.server.log_in(host, self.prefix, self._token(key))
            if session is None or not session.of(*WITNESS):
                raise Broken(f"the key {str(served)[:12]} does not log in on {host}")

    def held(self, wanted: str) -> rsa.RSAPrivateKey | None:
        held = (rotator.keyring.private(wanted) for rotator in self.rotators)
        return next((key for key in held if key is not None), None)

    def key(self, wanted: str) -> PrivateKey | None:
        """The key of this fingerprint, whoever has it."""
        found = self.held(wanted)
        return self.outside.get(wanted) or (PrivateKey(found) if found is not None else None)

    def _token(self, key: rsa.RSAPrivateKey) -> str:
        now = int(self.server.clock.now().timestamp())
        directory, user = WITNESS
        claims = {"userId": user, "userDirectory": directory, "nbf": now - 60, "exp": now + 300}
        return jwt.encode({"alg": "RS256"}, claims, _jwk(spki(key.public_key()), key))

    def begins(self, rotator: Rotator) -> None:
        """A run begins: what the promises of its exit status refer to."""
        self._before[rotator.name] = self.shown()
        self._wrote[rotator.name] = False
        self.server.logins.clear()

    def ended(self, rotator: Rotator, ended: Ended) -> None:
        """What an exit status says is so."""
        if ended.crashed or ended.effects.disturbed:
            return
        before, shown = self._before[rotator.name], self.shown()
        if ended.exit in (2, 78) and ended.plain and rotator.spec == self.spec:
            raise Broken(f"{ended.command} ends with {ended.exit}: {ended.message}")
        if ended.exit == 3 and (shown != before or self._wrote[rotator.name]):
            raise Broken(f"{ended.command} says that nothing was changed: {ended.message}")
        settled = ended.exit == 0 and ended.command in ("create-proxy", "rotate --now", "recover", "rollback")
        vanished = VANISH in {act for act, *_ in ended.effects.struck}
        if settled and not vanished and shown not in (rotator.current, None):
            raise Broken(f"{ended.command} is done, but the server does not show the current key")
        if ended.exit == 1 and not rotator.unfinished and before not in (None, shown):
            raise Broken(f"{ended.command} failed, and the key that was current is not in place: {ended.message}")

    # --- what happens to keyrings

    def forgotten(self, rotator: Rotator, before: Iterable[str]) -> None:
        """A keyring is less than it was, by no doing of rotator's."""
        self.lost |= set(before) - rotator.keyring.fingerprints()
        rotator.current = rotator.shown_current()

    def lose_keyring(self, rotator: Rotator, items: dict[str, str] | None = None) -> None:
        """All of it, or all that came after a copy."""
        before = rotator.keyring.fingerprints()
        rotator.keyring.items = dict(items or {})
        self.forgotten(rotator, before)


def _bare(name: str, value: Any) -> Any:
    """Attribute mappings get new ids at each PUT."""
    if name.endswith("AttributeMap"):
        return [{key: item for key, item in mapping.items() if key != "id"} for mapping in value]
    return value


@lru_cache(maxsize=512)
def _jwk(_fingerprint: str, key: rsa.RSAPrivateKey) -> jwk.RSAKey:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return jwk.RSAKey.import_key(pem)
