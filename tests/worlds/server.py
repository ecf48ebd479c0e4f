"""A Qlik Sense site: the sandbox's engine, without sockets, under a clock that a test moves."""

import copy
import json
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, cast
from urllib.parse import unquote

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from multidict import CIMultiDict

from rotator.sandbox import releases, unknowns
from rotator.sandbox.proxy import Proxy
from rotator.sandbox.qps import Qps
from rotator.sandbox.qrs import Qrs
from rotator.sandbox.repository import Entity, Repository
from rotator.sandbox.rights import Caller, Rights
from rotator.sandbox.sessions import Session, Sessions
from worlds.keyring import spki
from worlds.timeline import ServerClock, Timeline


CERTIFICATE: Final = "jwtPublicKeyCertificate"
VIRTUAL_PROXIES: Final = "/qrs/virtualproxyconfig"
LATEST: Final = 6 * 86400.0
"""Seconds after which a request that timed out is not applied any more: a day less than a sent key is kept."""
HOSTS: Final = ("central.example.com", "rim.example.com")


@dataclass
class Request:
    """As much of aiohttp's request as the sandbox looks at."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: CIMultiDict[str] = field(default_factory=CIMultiDict)
    data: bytes | None = None

    @property
    def cookies(self) -> dict[str, str]:
        pairs = (item.partition("=") for item in self.headers.get("Cookie", "").split(";") if item)
        return {name.strip(): value for name, _, value in pairs}

    @property
    def host(self) -> str:
        return self.headers.get("Host", "")

    async def read(self) -> bytes:
        return self.data or b""


@dataclass
class Node:
    """A proxy: `delay` seconds from a change to its application, the second half of them down. `stuck`: never."""

    proxy: Proxy
    qps: Qps
    delay: float = 0.0
    stuck: bool = False
    down: bool = False
    changes: int = 0

    @property
    def host(self) -> str:
        return self.proxy.host


class Down(Exception):
    """Nobody listens there."""


class Server:
    """One site of two nodes."""

    def __init__(self, timeline: Timeline, *chosen: str, hosts: tuple[str, ...] = HOSTS) -> None:
        self.timeline = timeline
        self.clock = ServerClock(timeline)
        self.unknowns = unknowns.Unknowns("refusal-body=text", "prefix-body=text", *chosen)
        self.sessions = Sessions(self.unknowns, self.clock)
        release = releases.RELEASES[releases.DEFAULT]
        self.repository = Repository(release, self.unknowns, self.clock)
        self.qrs = Qrs(self.repository, Rights(self.repository))
        self.nodes: dict[str, Node] = {}
        self.late: list[tuple[float, Request]] = []
        self.logins: set[tuple[str, str]] = set()
        """Host and fingerprint of the key of each login that was let in."""
        for host in hosts:
            service = self.repository.add_node(host.partition(".")[0], host, 443, 4243)
            proxy = Proxy(service, self.repository, self.sessions, self.qrs)
            self.nodes[service] = Node(proxy, Qps(host, self.sessions, self.unknowns))
            proxy.central = next(iter(self.nodes.values())).proxy if len(self.nodes) > 1 else None
            proxy.apply()
        self.repository.changed = self._changed

    def node(self, host: str) -> Node:
        return next(node for node in self.nodes.values() if node.host == host)

    def virtual_proxy(self, prefix: str) -> Entity | None:
        return next((item for item in self.repository.virtual_proxies.values() if item["prefix"] == prefix), None)

    def shown(self, prefix: str) -> str | None:
        """The fingerprint that the repository holds."""
        found = self.virtual_proxy(prefix)
        return fingerprint(found[CERTIFICATE]) if found else None

    def applied(self, host: str, prefix: str) -> Entity | None:
        """The virtual proxy as a proxy serves it now; None where it is down or has none of that prefix."""
        node = self.node(host)
        return None if node.down else node.proxy.serves(prefix)

    def linked(self, prefix: str) -> list[str]:
        """The hosts of the proxies that it is linked to."""
        found = self.virtual_proxy(prefix)
        return [self.nodes[service].host for service in self.repository.linked_to(found["id"])] if found else []

    # --- restarts

    def _changed(self, service: str) -> None:
        node = self.nodes[service]
        node.changes += 1
        if node.stuck:
            return
        if node.delay == 0.0:
            node.down = False
            node.proxy.apply()
            return
        change = node.changes

        def fall() -> None:
            node.down = node.down or node.changes == change

        def rise() -> None:
            if node.changes == change and not node.stuck:
                self._risen(node)

        self.timeline.after(node.delay / 2, fall)
        self.timeline.after(node.delay, rise)

    @staticmethod
    def _risen(node: Node) -> None:
        node.down = False
        node.proxy.apply()

    def restart(self) -> None:
        """Every proxy comes up with what the repository holds now."""
        for node in self.nodes.values():
            node.stuck, node.delay = False, 0.0
            node.changes += 1
            self._risen(node)

    # --- requests

    def repository_answer(self, request: Request) -> web.Response:
        return _run(self.qrs.answer(_as_aiohttp(request), _caller(request), request.path))

    def sessions_answer(self, host: str, request: Request) -> web.Response:
        return _run(self.node(host).qps.answer(_as_aiohttp(request)))

    def proxy_answer(self, host: str, request: Request) -> web.Response:
        node = self.node(host)
        if node.down:
            raise Down
        response = _run(node.proxy.answer(_as_aiohttp(request)))
        if response.cookies:
            found = node.proxy.serves(request.path.split("/")[1])
            self.logins.add((host, fingerprint(found[CERTIFICATE]) or "" if found else ""))
        return response

    def keep_for_later(self, request: Request) -> None:
        self.late.append((self.timeline.seconds, request))

    def land(self, index: int) -> bool:
        """Apply a request whose sender gave up long ago, by the rules that hold now. Whether it was taken."""
        sent, request = self.late.pop(index)
        if self.timeline.seconds - sent > LATEST:
            return False
        return self.repository_answer(request).status < 300

    def gone_back(self, index: int) -> bool:
        """Whether such a request is of later than what is stored: the clock went back, and no conflict is seen."""
        _, request = self.late[index]
        stored = self.repository.virtual_proxies.get(request.path.rsplit("/", 1)[1])
        return stored is not None and str(stored["modifiedDate"]) < str(body_of(request)["modifiedDate"])

    def could_land(self) -> Iterator[str]:
        """The certificates of the requests on their way that the server would take if they came now."""
        for sent, request in self.late:
            body = body_of(request)
            if CERTIFICATE not in body or self.timeline.seconds - sent > LATEST:
                continue
            if request.method == "POST":
                taken = self.virtual_proxy(body["prefix"]) is None
            else:
                stored = self.repository.virtual_proxies.get(request.path.rsplit("/", 1)[1])
                taken = stored is not None and stored["modifiedDate"] <= body["modifiedDate"]
            if taken:
                yield body[CERTIFICATE]

    # --- other people

    def edit(self, prefix: str, **fields: Any) -> None:
        """Somebody saves the virtual proxy in the QMC."""
        found = self.virtual_proxy(prefix)
        if found is not None:
            self.repository.replace(found["id"], {**copy.deepcopy(found), **fields}, "CORP\\admin")

    def delete(self, prefix: str) -> None:
        found = self.virtual_proxy(prefix)
        if found is not None:
            self.repository.delete(found["id"])

    def relink(self, prefix: str, hosts: tuple[str, ...]) -> None:
        """Somebody links it to these proxies and no others."""
        found = self.virtual_proxy(prefix)
        for service, node in self.nodes.items() if found else ():
            links = [link for link in self.repository.proxies[service]["links"] if found and link != found["id"]]
            if node.host in hosts and found:
                links.append(found["id"])
            self.repository._relinked(self.repository.proxies[service], links, "CORP\\admin")

    def unlink(self, host: str) -> None:
        """Somebody takes every link of the proxy on a host away."""
        for service, node in self.nodes.items():
            if node.host == host:
                self.repository._relinked(self.repository.proxies[service], [], "CORP\\admin")

    def seat(self, host: str, prefix: str, user: str) -> None:
        """Somebody works there, for the next hour."""
        self.sessions.open(Session("CORP", user, [], host, prefix, timedelta(hours=1), self.clock.now()))

    def log_in(self, host: str, prefix: str, token: str) -> Session | None:
        """A session by a token, as a user would get it."""
        request = Request("GET", f"/{prefix}/qps/csrftoken", {}, CIMultiDict(Authorization=f"Bearer {token}"))
        before = {session.id for session in self.sessions}
        if self.node(host).down or _run(self.node(host).proxy.answer(_as_aiohttp(request))).status >= 300:
            return None
        made = next(session for session in self.sessions if session.id not in before)
        self.sessions.end(made.id)
        return made


def fingerprint(certificate: str) -> str | None:
    """Of the key in a certificate, read without any of rotator's code; None where that is none, or cannot be read."""
    try:
        key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    except ValueError:
        return None
    assert isinstance(key, rsa.RSAPublicKey)
    return spki(key)


def _run(answer: Coroutine[Any, Any, web.StreamResponse]) -> web.Response:
    """The engine waits for nothing but the body of a request, which is at hand."""
    try:
        answer.send(None)
    except StopIteration as ended:
        return cast("web.Response", ended.value)
    raise AssertionError("the engine waits for something")


def _as_aiohttp(request: Request) -> web.BaseRequest:
    return cast("web.BaseRequest", request)


def _caller(request: Request) -> Caller:
    parts = dict(part.strip().split("=", 1) for part in request.headers.get("X-Qlik-User", "").split(";"))
    return Caller(unquote(parts["UserDirectory"]), unquote(parts["UserId"]))


def body_of(request: Request) -> Any:
    return json.loads(request.data or b"null")
