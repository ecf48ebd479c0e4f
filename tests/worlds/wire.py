"""The way from rotator to the server: its own doors, adapters and test logins over a transport without sockets."""

import copy
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from http.client import RemoteDisconnected
from typing import TYPE_CHECKING, Any, Final, cast

from multidict import CIMultiDict

from rotator.errors import ServerError
from rotator.model import ProxyService, Site, User
from rotator.ports import LARGEST_OFFSET
from rotator.qlik import transport
from rotator.qlik.doors import CertificateDoor
from rotator.qlik.failures import mapped
from rotator.qlik.login import ProxyLogins
from rotator.qlik.qrs import Qrs
from rotator.qlik.routes import Route
from rotator.qlik.sessions import ProxySessions
from worlds.effects import AWAY, CRASH_AFTER, CRASH_SENT, GARBLED, LATE, LOST, PAGE, REFUSED, STATUSES, VANISH
from worlds.server import Down, Request


if TYPE_CHECKING:
    from worlds.rotators import Rotator

PORTS: Final = {"qrs": 4242, "qps": 4243, "proxy": 443}
TOOK: Final = 0.005
"""Seconds that a request takes."""


class Wire:
    """Stands in for qlik.transport.Transport. `service` is qrs, qps or proxy."""

    def __init__(self, rotator: "Rotator", service: str, host: str) -> None:
        self._rotator = rotator
        self._service = service
        self._host = host
        self.clock_offset: float | None = None

    def refresh(self) -> None:
        return

    def exchange(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        largest: int = 0,
        limit: float = transport.EXCHANGE_LIMIT,
    ) -> transport.Answer:
        transport._made.count = transport.exchanges() + 1
        request = Request(method, path, dict(params or {}), CIMultiDict({"Host": self._host, **(headers or {})}), data)
        world, effects = self._rotator.world, self._rotator.effects
        world.timeline.elapse(TOOK)
        act = effects.strike("request", self._service, f"{method} {self._service}", f"{self._service} {self._host}")
        world.sends(self._rotator, request)
        if act in STATUSES:
            return self._answered(request, int(act), b"made up", {}, {})
        if act in (REFUSED, VANISH) or (effects.away and self._service == "qrs"):
            raise self._failure(ConnectionRefusedError(), request)
        if act in (LATE, AWAY, CRASH_SENT):
            if method != "GET" and self._service == "qrs":
                world.server.keep_for_later(copy.deepcopy(request))
            if act == CRASH_SENT:
                effects.die()
            effects.away = effects.away or act == AWAY
            world.timeline.elapse(limit)
            raise self._failure(RemoteDisconnected(""), request)
        try:
            response = world.answer(self._rotator, self._service, self._host, request)
        except Down:
            raise self._failure(ConnectionRefusedError(), request) from None
        if act == CRASH_AFTER:
            effects.die()
        if act == LOST:
            raise self._failure(RemoteDisconnected(""), request)
        if act == GARBLED:
            broken = ssl.SSLError(1, "[SSL] bad record mac")
            broken.reason = "SSLV3_ALERT_BAD_RECORD_MAC"
            raise self._failure(broken, request)
        if act == PAGE:
            return self._answered(request, 200, b"<html>a page</html>", {}, {})
        body = response.body if isinstance(response.body, bytes) else b""
        cookies = {name: morsel.value for name, morsel in response.cookies.items()}
        return self._answered(
            request, response.status, body, {name.lower(): value for name, value in response.headers.items()}, cookies
        )

    def _answered(
        self, request: Request, status: int, body: bytes, headers: dict[str, str], cookies: dict[str, str]
    ) -> transport.Answer:
        told = self._rotator.world.server.clock.now().replace(microsecond=0)
        offset = (told - self._rotator.clock.now()) / timedelta(seconds=1)
        self.clock_offset = max(-LARGEST_OFFSET, min(offset, LARGEST_OFFSET))
        return transport.Answer(request.method, f"https://{self._host}{request.path}", status, headers, cookies, body)

    def _failure(self, error: Exception, request: Request) -> ServerError:
        return mapped(
            error, Route(self._host, PORTS[self._service], "", self._host, ""), f"{request.method} {request.path}"
        )


def _transport(rotator: "Rotator", service: str, host: str) -> transport.Transport:
    return cast("transport.Transport", Wire(rotator, service, host))


class Logins(ProxyLogins):
    """qlik.login with such a transport for each proxy."""

    def __init__(self, site: Site, rotator: "Rotator") -> None:
        super().__init__(site)
        self._rotator = rotator

    def _transport(self, proxy: ProxyService) -> transport.Transport:
        if proxy.id not in self._transports:
            self._transports[proxy.id] = _transport(self._rotator, "proxy", proxy.host)
        return self._transports[proxy.id]


@dataclass(frozen=True)
class Access:
    """Stands in for cli.access.SiteAccess: the adapters of one site."""

    repository: Qrs
    logins: ProxyLogins
    sessions: ProxySessions
    certificate_ends: Any = None


def access(site: Site, rotator: "Rotator") -> Access:
    directory, name = rotator.user.split("\\")
    user = User(directory, name)
    qrs = Qrs(CertificateDoor(_transport(rotator, "qrs", "qrs.example.com"), user))
    return Access(
        qrs,
        Logins(site, rotator),
        ProxySessions(qrs, lambda proxy: CertificateDoor(_transport(rotator, "qps", proxy.host), user)),
    )
