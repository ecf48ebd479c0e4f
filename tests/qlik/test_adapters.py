"""Real TLS against servers that misbehave: one error each, with cause and remedy, and nothing secret in it."""

import gzip
import json
import re
import socket
import ssl
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import Script, Scripted, answering
from values import NOW, key, observed, ring, spec

from rotator.errors import (
    AuthenticationFailed,
    BadRequest,
    Conflict,
    NotFound,
    PermissionDenied,
    RotatorError,
    ServerError,
    ServerFault,
    ServerUnreachable,
    TlsError,
    UnexpectedAnswer,
)
from rotator.keys import PrivateKey, inspect_certificate
from rotator.model import AnyTime, Auth, Json, Outcome, ProbeRoute, ProxyService, Result, Rotation, Site, User, Verdict
from rotator.planning.due import DueReason, due
from rotator.planning.rotation import as_served
from rotator.qlik import routes, tls
from rotator.qlik.doors import CertificateDoor
from rotator.qlik.failures import excerpt
from rotator.qlik.login import judged
from rotator.qlik.qrs import Qrs, quoted
from rotator.qlik.routes import Route
from rotator.qlik.transport import Answer, Transport
from rotator.report import text


TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


def transport(server: Scripted, name: str = "localhost", root: Path | None = None) -> Transport:
    ca = str(root or server.root)
    return Transport(Route("127.0.0.1", server.port, name, name, ca), tls.trusting(ca))


def qrs(server: Scripted) -> Qrs:
    return Qrs(CertificateDoor(transport(server), User("INTERNAL", "sa_api")))


PAGE = (
    b"<html><style>p {}</style><body><h1>The http request header is incorrect</h1>" + b" " * 88_000 + b"</body></html>"
)
BAD = [
    (answering(401, b"no"), AuthenticationFailed),
    (answering(403, b"XSRF prevention check failed. Possible XSRF discovered."), PermissionDenied),
    (answering(403, b"Forbidden"), PermissionDenied),
    (answering(400, PAGE), BadRequest),
    (answering(404, b""), NotFound),
    (answering(409, b"Conflict"), Conflict),
    (answering(500, b"boom"), ServerFault),
    (answering(503, b""), ServerFault),
    (answering(429, b""), ServerFault),
    (answering(418, b""), UnexpectedAnswer),
    (answering(302, b"", Location="https://elsewhere.example.com/"), AuthenticationFailed),
    (answering(200, b"<html><form>log in</form></html>"), UnexpectedAnswer),
    (answering(200, b'{"buildVersion": '), UnexpectedAnswer),
    (answering(200, b"[]"), UnexpectedAnswer),
    (answering(200, b"null"), UnexpectedAnswer),
    (answering(200, b"\xff\xfe"), UnexpectedAnswer),
    (answering(200, b"[" * 100_000), UnexpectedAnswer),
    (answering(200, b'{"deep": ' + b"[" * 200 + b"]" * 200 + b"}"), UnexpectedAnswer),
    (answering(200, b"{}", Content_Length="4000", Connection="close"), UnexpectedAnswer),
    (answering(200, gzip.compress(b" " * 40_000_000), Content_Encoding="gzip"), UnexpectedAnswer),
    # requests would read all of it, to know where it leads.
    (answering(302, gzip.compress(b" " * 40_000_000), Location="/", Content_Encoding="gzip"), UnexpectedAnswer),
    (answering(200, b"not gzip", Content_Encoding="gzip"), UnexpectedAnswer),
    (answering(200, b"{}", content_length="7"), UnexpectedAnswer),
]


@pytest.mark.parametrize(("script", "kind"), BAD)
def test_every_bad_answer_is_one_clear_error(tmp_path: Path, script: Script, kind: type[ServerError]) -> None:
    with Scripted(script, tmp_path) as server, pytest.raises(ServerError) as caught:
        qrs(server).build_version()
    assert type(caught.value) is kind, caught.value
    assert caught.value.hint
    assert "GET" in caught.value.message
    assert len(caught.value.message) < 500
    assert "<" not in caught.value.message


def test_a_dripping_answer_ends_at_the_deadline(tmp_path: Path) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        for _ in range(100):
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.05)

    with Scripted(drip, tmp_path) as server, pytest.raises(ServerUnreachable, match="no whole answer"):
        transport(server).exchange("GET", "/", limit=0.5)


def test_a_dead_kept_connection_is_replaced_for_get_alone(tmp_path: Path) -> None:
    def cut(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/cut" and not getattr(handler.server, "was_cut", False):
            handler.server.was_cut = True  # type: ignore[attr-defined]
            handler.connection.shutdown(socket.SHUT_RDWR)
            handler.close_connection = True
            return
        answering(200, b"{}")(handler)

    with Scripted(cut, tmp_path) as server:
        one = transport(server)
        assert one.exchange("GET", "/").status == 200
        assert one.exchange("GET", "/cut").status == 200
    with Scripted(cut, tmp_path) as server:
        with pytest.raises(ServerUnreachable):
            transport(server).exchange("PUT", "/cut", data=b"{}")
        assert [path for path, _ in server.seen] == ["/cut"]


def test_the_environment_has_no_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = tmp_path / "trap.pem"
    trap.write_text("")
    keylog = tmp_path / "keylog"
    (Path.home() / ".netrc").write_text("machine localhost login me password trap")
    for name, value in {
        "REQUESTS_CA_BUNDLE": str(trap),
        "CURL_CA_BUNDLE": str(trap),
        "SSL_CERT_FILE": str(trap),
        "SSLKEYLOGFILE": str(keylog),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }.items():
        monkeypatch.setenv(name, value)
    with Scripted(answering(200, b"{}"), tmp_path) as server:
        transport(server).exchange("GET", "/", headers={"Authorization": f"Bearer {TOKEN}"})
        assert server.seen[0][1]["Authorization"] == f"Bearer {TOKEN}"
    assert not keylog.exists()


def test_a_trust_is_not_carried_over_from_one_connection_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with (
        Scripted(answering(200, b"{}"), tmp_path) as server,
        Scripted(answering(200, b"{}"), tmp_path / "other") as other,
    ):
        assert transport(server).exchange("GET", "/").status == 200
        with pytest.raises(TlsError):
            transport(server, root=other.root).exchange("GET", "/")
        with pytest.raises(TlsError):
            transport(server, root=Path(ssl.get_default_verify_paths().openssl_cafile)).exchange("GET", "/")


def test_a_port_that_refuses_and_one_that_speaks_no_tls(tmp_path: Path) -> None:
    with Scripted(answering(200, b"{}"), tmp_path) as server:
        port, context = server.port, tls.trusting(str(server.root))
    with pytest.raises(ServerUnreachable, match="refuses connections"):
        Transport(Route("127.0.0.1", port, "localhost", "localhost", "x"), context).exchange("GET", "/")
    with pytest.raises(ServerUnreachable, match="cannot be resolved"):
        Transport(Route("no-such-host.invalid", port, "x", "x", "x"), context).exchange("GET", "/")


def test_what_is_said_of_an_answer_holds_no_secret() -> None:
    said = excerpt(f"<p>token {TOKEN} and\x1b[31m -----BEGIN PRIVATE KEY-----\nMIIE")
    assert said == "token … and?[31m …"
    assert excerpt("@everyone [QMC](https://evil.example)") == "(at)everyone [QMC] (https: //evil.example)"


@pytest.mark.parametrize("name", ["style", "script"])
def test_of_a_page_that_goes_on_for_long_only_what_people_read_is_told(name: str) -> None:
    long = "body { color: red } " * 2000
    assert (
        excerpt(f"<html><h1>502 Bad Gateway</h1><{name} type='x'>{long}</{name}><p>far away</p>") == "502 Bad Gateway"
    )
    assert excerpt(f"<{name}>short</{name}><h1>502</h1> then") == "502 then"


@given(st.binary(max_size=400), st.sampled_from([200, 201, 204, 400, 401, 403, 404, 409, 500]))
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whatever_a_proxy_says_a_login_has_a_verdict(body: bytes, status: int) -> None:
    outcome = judged(Answer("GET", "https://x/qps/user", status, {}, {}, body), User("A", "b"))
    assert outcome.verdict in Verdict
    assert (outcome.verdict is Verdict.REFUSED) == (status == 401 and b"too many sessions" not in body.lower())


def test_only_a_plain_401_is_a_refusal() -> None:
    verdicts = {
        status: judged(Answer("GET", "u", status, {}, {}, b"no"), User("A", "b")).verdict for status in range(600)
    }
    assert [status for status, verdict in verdicts.items() if verdict is Verdict.REFUSED] == [401]


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 1900 00:00:00 GMT"])
def test_the_servers_clock_is_believed_within_a_day(tmp_path: Path, date: str) -> None:
    """Tokens are timed by it: one that is good for a thousand years must not come about."""
    with Scripted(answering(200, b"{}", Date=date), tmp_path) as server:
        one = transport(server)
        one.exchange("GET", "/")
    assert abs(one.clock_offset or 0) == 86_400


@pytest.mark.parametrize("status", [200, 401, 403])
def test_too_many_sessions_is_told_by_its_text(status: int) -> None:
    page = b"<h1>You cannot access Qlik Sense because you have too many sessions active in parallel</h1>"
    assert judged(Answer("GET", "u", status, {}, {}, page), User("A", "b")).verdict is Verdict.INCONCLUSIVE


def test_the_right_user_whatever_the_case_and_no_other() -> None:
    def verdict(directory: str, user: str) -> Verdict:
        body = json.dumps({"userDirectory": directory, "userId": user}).encode()
        return judged(Answer("GET", "u", 200, {}, {}, body), User("Rotator", "probe")).verdict

    assert verdict("ROTATOR", "Probe") is Verdict.ACCEPTED
    assert verdict("ROTATOR", "admin") is Verdict.INCONCLUSIVE


ENTITY = {
    "id": "v",
    "prefix": "p",
    "authenticationMethod": 4,
    "defaultVirtualProxy": False,
    "settings": {"virtualProxies": []},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*ENTITY, "serverNodeConfiguration", "jwtPublicKeyCertificate", "privileges"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, None),
        ({"privileges": None}, None),
        ({"privileges": []}, frozenset()),
        ({"privileges": ["Read", "update"]}, frozenset({"read", "update"})),
    ],
)
def test_privileges_that_are_told_and_that_are_not(tmp_path: Path, said: Json, told: object) -> None:
    assert isinstance(said, dict)
    with Scripted(answering(200, json.dumps([{"id": "x", **said}]).encode()), tmp_path) as server:
        found = qrs(server).privileges()
    assert (found.virtual_proxies, found.proxies) == ({"x": told}, {"x": told})


@given(JSON)
@settings(max_examples=300)
def test_json_of_any_shape_is_refused_or_read(value: object) -> None:
    from rotator.qlik import wire

    answer = Answer("GET", "u", 200, {}, {}, json.dumps(value).encode())
    for read in (wire.virtual_proxy, wire.proxy_service, wire.node, wire.privileges):
        try:
            for entity in wire.many(answer):
                read(entity, answer)
        except RotatorError:
            continue


def test_quotes_are_escaped_in_filters() -> None:
    assert quoted("it's \\ here") == "'it\\'s \\\\ here'"


def site(**probe: ProbeRoute) -> Site:
    return Site(
        "prod",
        "https://central:4242",
        Path("/root.pem"),
        "/proxy.pem",
        Auth.CERTIFICATE,
        server_name="QLIK-CENTRAL",
        probe={name.replace("_", "."): route for name, route in probe.items()},
    )


RIM = ProxyService(
    "p", "rim.example", central=False, listen_port=8443, rest_port=4243, virtual_proxies=frozenset(), modified=""
)


def test_where_connections_go() -> None:
    assert routes.to_qrs(site()) == Route("central", 4242, "QLIK-CENTRAL", "central:4242", "/root.pem")
    assert routes.to_proxy(site(), RIM) == Route("rim.example", 8443, "rim.example", "rim.example:8443", "/proxy.pem")
    assert routes.to_proxy(site(rim_example=ProbeRoute(skip=True)), RIM) is None
    forwarded = ProbeRoute(connect=("10.0.0.5", 8443), host="portal.example.com", ca="system")
    assert routes.to_proxy(site(rim_example=forwarded), RIM) == Route(
        "10.0.0.5", 8443, "portal.example.com", "portal.example.com", "system"
    )
    assert routes.to_url("https://[::1]:4242", None, "x") == Route("::1", 4242, "::1", "[::1]:4242", "x")
    assert routes.loopback("rim1.localhost") == "127.0.0.1"
    assert routes.loopback("localhost.example.com") == "localhost.example.com"


def test_a_certificate_of_the_year_0_is_none_that_can_be_read_and_one_of_the_year_1_has_ended() -> None:
    made = PrivateKey.generate(2048).certificate("portal", 40 * 365, datetime(2026, 1, 1, tzinfo=UTC))
    der = ssl.PEM_cert_to_DER_cert(made)
    (ends,) = re.findall(rb"20[56]\d{11}Z", der)
    assert inspect_certificate(made) is not None
    assert inspect_certificate(ssl.DER_cert_to_PEM_cert(der.replace(ends, b"0000" + ends[4:]))) is None
    early = inspect_certificate(ssl.DER_cert_to_PEM_cert(der.replace(ends, b"00010101" + ends[8:])))
    assert early is not None
    served = as_served(ring(key()), observed(not_after=early.not_after))
    anytime = spec(rotation=Rotation(windows=AnyTime()))
    assert due(anytime, served, NOW).reason is DueReason.CERTIFICATE_ENDS


def test_what_a_server_says_is_shown_by_a_terminal_and_not_obeyed() -> None:
    said = "30.4\x1b]0;owned\x07\u202e"
    for line in (
        text.table(("version",), [[said]]),
        text.line(Result("prod", "portal", Outcome.SHOWN, "Shown", said)),
        *text.problems(RotatorError(said, hint=said)),
        text.plan(
            Result("prod", "portal", Outcome.PLANNED, "Planned", extra={"plan": [PLANNED | {"to": {"id": said}}]})
        ),
    ):
        assert r"30.4\x1b]0;owned\x07\u202e" in line
        assert all(part.isprintable() for part in line.splitlines())


PLANNED: dict[str, Json] = {"field": "loadBalancingServerNodes", "from": None}
