"""A server that is not the one that was meant gets nothing: no token, no cookie, no client certificate, no request."""

import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import trustme
from hostile import TOKEN
from qlik_answers import PREFIX, PROXY, VIRTUAL_PROXY, proper
from scripted import Script, Scripted

from rotator.errors import RotatorError, TlsError
from rotator.model import Auth, CertificateAccess, ProbeRoute, ProxyService, Site, User, Verdict
from rotator.qlik import routes, tls, wire
from rotator.qlik.doors import CertificateDoor, JwtDoor
from rotator.qlik.login import ProxyLogins
from rotator.qlik.qrs import Qrs
from rotator.qlik.sessions import ProxySessions
from rotator.qlik.transport import Answer, Transport


USER = User("ROTATOR", "probe")
ANSWER = Answer("GET", "https://x", 200, {}, {}, b"")


class Client:
    """rotator's ways to a server: both doors to QRS, test logins and session counts, a client certificate at hand."""

    def __init__(self, folder: Path, authority: trustme.CA, root: Path, port: int) -> None:
        identity = authority.issue_cert("client")
        self.access = CertificateAccess(USER, cert=folder / "client.pem", key=folder / "client_key.pem")
        identity.cert_chain_pems[0].write_to_path(str(self.access.cert))
        identity.private_key_pem.write_to_path(str(self.access.key))
        (folder / "client_key.pem").chmod(0o600)
        self.root, self.port = root, port
        probe = {"localhost": ProbeRoute(connect=("localhost", port))}
        self.site = Site("prod", f"https://localhost:{port}", root, str(root), Auth.CERTIFICATE, probe=probe)
        self.proxy: ProxyService = wire.proxy_service(
            {**PROXY, "serverNodeConfiguration": {"hostName": "localhost"}}, ANSWER
        )
        self.virtual_proxy = wire.virtual_proxy(VIRTUAL_PROXY, ANSWER)

    def _certificate_door(self) -> CertificateDoor:
        context = tls.with_client_certificate(str(self.root), self.access, None)
        return CertificateDoor(Transport(routes.to_qrs(self.site), context), USER)

    def by_certificate(self) -> object:
        return Qrs(self._certificate_door()).virtual_proxies()

    def put_by_certificate(self) -> object:
        Qrs(self._certificate_door()).update(self.virtual_proxy.entity)
        return None

    def by_jwt(self) -> object:
        url = f"https://localhost:{self.port}/{PREFIX}"
        route = routes.to_access(self.site, url)
        door = JwtDoor(Transport(route, tls.trusting(route.ca)), url, lambda: [lambda: TOKEN])
        try:
            return Qrs(door).virtual_proxies()
        finally:
            door.close()

    def login(self) -> object:
        return ProxyLogins(self.site).attempt(self.proxy, self.virtual_proxy, TOKEN, USER)

    def sessions(self) -> object:
        door = self._certificate_door()
        return ProxySessions(Qrs(door), lambda _: door).count(self.proxy)


WAYS: dict[str, Callable[[Client], object]] = {
    "certificate": Client.by_certificate,
    "certificate, PUT": Client.put_by_certificate,
    "jwt": Client.by_jwt,
    "login": Client.login,
    "sessions": Client.sessions,
}


def outcome(client: Client, way: str) -> str:
    """What a way came to: the error with its hint, or the evidence of the login."""
    try:
        came = WAYS[way](client)
    except RotatorError as error:
        return f"{error.reason}: {error.message}; {error.hint}"
    detail = getattr(came, "detail", came)
    return f"{getattr(came, 'verdict', '')}: {detail}"


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


# --- redirects


def redirecting(status: int, location: str, *, first: bool) -> Script:
    """Redirect the first request, or only what comes after a session was opened."""

    def script(handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length", 0))
        handler.rfile.read(length)
        told, body, headers = proper(handler.command, handler.path)
        if first or not handler.path.endswith("/qps/csrftoken"):
            told, body, headers = status, None, {"Location": location}
        headers = {**headers, "Set-Cookie": "stolen=1; Domain=localhost; Path=/"}
        data = b"" if body is None else json.dumps(body).encode()
        handler.send_response(told)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    return script


def answering_properly(handler: BaseHTTPRequestHandler) -> None:
    status, body, headers = proper(handler.command, handler.path)
    data = b"" if body is None else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(data))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(data)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_elsewhere_brings_nothing_there(
    tmp_path: Path, authority: trustme.CA, way: str, status: int
) -> None:
    """Elsewhere is trusted, and on the same host: nothing but not following keeps the token from it."""
    with Scripted(answering_properly, tmp_path, authority=authority) as elsewhere:
        for location in (
            f"https://localhost:{elsewhere.port}/qrs/virtualproxyconfig/full",
            f"//localhost:{elsewhere.port}/",
            f"https://127.0.0.1:{elsewhere.port}/",
            f"https://user:password@localhost:{elsewhere.port}/",
        ):
            for first in (True, False):
                script = redirecting(status, location, first=first)
                with Scripted(script, tmp_path, authority=authority) as server:
                    client = Client(tmp_path, authority, server.root, server.port)
                    came = outcome(client, way)
                    assert server.seen
                    assert ("redirected" in came) or (way == "sessions" and came == ": None"), came
                    assert "eyJ" not in came
                    if "certificate" in way or way == "sessions":
                        assert server.shown
        assert elsewhere.seen == []
        assert elsewhere.shown == []


def test_what_one_proxy_sets_no_other_one_is_sent(tmp_path: Path, authority: trustme.CA) -> None:
    """Cookies for the whole domain do not wander from one proxy to the next, nor does the client certificate to any."""
    with ExitStack() as opened:
        setting = redirecting(401, "", first=False)
        first, second = (opened.enter_context(Scripted(setting, tmp_path, authority=authority)) for _ in range(2))
        client = Client(tmp_path, authority, first.root, first.port)
        logins = ProxyLogins(
            Site(
                "prod", "https://localhost", first.root, str(first.root), Auth.CERTIFICATE,
                probe={f"p{n}.localhost": ProbeRoute(connect=("localhost", s.port)) for n, s in enumerate((first, second))},
            )
        )  # fmt: skip
        for number in range(2):
            body: dict[str, Any] = {
                **PROXY,
                "id": f"p{number}",
                "serverNodeConfiguration": {"hostName": f"p{number}.localhost"},
            }
            proxy = wire.proxy_service(body, ANSWER)
            assert logins.attempt(proxy, client.virtual_proxy, TOKEN, USER).verdict is Verdict.INCONCLUSIVE
        assert "stolen=1" in str(first.seen[1:])
        assert "Cookie" not in second.seen[0][1]
        assert first.shown == second.shown == []


# --- certificates and protocols


def _now() -> datetime:
    return datetime.now(UTC)


UNTRUSTED: dict[str, tuple[Callable[[trustme.CA], dict[str, Any]], str, str]] = {
    "another root": (lambda _: {"certificate": trustme.CA().issue_cert("localhost")}, "is not trusted by", "root_ca"),
    "a wrong name": (
        lambda ca: {"certificate": ca.issue_cert("other.example")},
        "is not for the name localhost",
        "name",
    ),
    "an address alone": (
        lambda ca: {"certificate": ca.issue_cert("127.0.0.1")},
        "is not for the name localhost",
        "name",
    ),
    "a common name alone": (
        lambda ca: {"certificate": ca.issue_cert(common_name="localhost")},
        "is not for the name localhost",
        "name",
    ),
    "expired": (
        lambda ca: {"certificate": ca.issue_cert("localhost", not_after=_now() - timedelta(days=1))},
        "has expired",
        "renew it",
    ),
    "not yet valid": (
        lambda ca: {"certificate": ca.issue_cert("localhost", not_before=_now() + timedelta(days=9))},
        "not yet valid",
        "root_ca",
    ),
    "TLS 1.0": (lambda _: {"version": ssl.TLSVersion.TLSv1}, "speaks no TLS 1.2 or newer", "enable TLS 1.2"),
    "TLS 1.1": (lambda _: {"version": ssl.TLSVersion.TLSv1_1}, "speaks no TLS 1.2 or newer", "enable TLS 1.2"),
}


@pytest.fixture(params=UNTRUSTED)
def untrusted(
    request: pytest.FixtureRequest, tmp_path: Path, authority: trustme.CA
) -> Iterator[tuple[Scripted, str, str]]:
    make, said, hint = UNTRUSTED[request.param]
    with Scripted(answering_properly, tmp_path, authority=authority, **make(authority)) as server:
        yield server, said, hint


@pytest.mark.parametrize("way", ["certificate", "certificate, PUT", "jwt"])
def test_a_server_that_cannot_prove_itself_is_sent_nothing(
    untrusted: tuple[Scripted, str, str], tmp_path: Path, authority: trustme.CA, way: str
) -> None:
    server, said, hint = untrusted
    with pytest.raises(TlsError) as caught:
        WAYS[way](Client(tmp_path, authority, server.root, server.port))
    assert said in caught.value.message
    assert hint in (caught.value.hint or "")
    assert server.seen == []


def test_a_proxy_that_cannot_prove_itself_is_shown_no_token(
    untrusted: tuple[Scripted, str, str], tmp_path: Path, authority: trustme.CA
) -> None:
    server, said, _ = untrusted
    client = Client(tmp_path, authority, server.root, server.port)
    came = ProxyLogins(client.site).attempt(client.proxy, client.virtual_proxy, TOKEN, USER)
    assert came.verdict is Verdict.UNREACHABLE
    assert said in came.detail
    assert client.sessions() is None
    assert server.seen == []
