"""The stand-in behaves as the facts say, seen by a client that is none of rotator's."""

import json
import os
import signal
import ssl
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sandbox_process import ROTATOR, Sandbox

from rotator.keys import PrivateKey
from rotator.model import Algorithm, Json
from rotator.sandbox.unknowns import QUESTIONS


KEY = PrivateKey.generate(2048)
XRF = "0123456789abcdef"


class Client:
    """A plain client: bodies and statuses as they come."""

    def __init__(
        self,
        sandbox: Sandbox,
        *,
        certificate: str | None = "client",
        user: str = "UserDirectory=INTERNAL; UserId=sa_api",
    ) -> None:
        self.sandbox = sandbox
        self.trust = ssl.create_default_context(cafile=str(sandbox.folder / "root.pem"))
        if certificate:
            self.trust.load_cert_chain(sandbox.folder / f"{certificate}.pem", sandbox.folder / f"{certificate}_key.pem")
        self.user = user

    def ask(self, method: str, url: str, body: object = None, **headers: str) -> tuple[int, Any, dict[str, str]]:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.trust), NoRedirect()
        )
        request = urllib.request.Request(url, method=method, headers=sent, data=data)
        try:
            with opener.open(request, timeout=20) as answer:
                return answer.status, _parsed(answer.read()), dict(answer.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _parsed(error.read()), dict(error.headers)

    def qrs(
        self, method: str, path: str, body: object = None, *, query: str = "", xrf: str = XRF, key: str = XRF
    ) -> tuple[int, Any]:
        headers = {"X-Qlik-User": self.user} if self.user else {}
        url = f"{self.sandbox.ready['qrs']}/qrs/{path}?xrfkey={xrf}{query}"
        status, found, _ = self.ask(method, url, body, **headers, **{"X-Qlik-Xrfkey": key})
        return status, found

    def proxy(
        self, path: str, token: str | None = None, *, index: int = 0, method: str = "GET", **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        bearer = {"Authorization": f"Bearer {token}"} if token else {}
        return self.ask(method, f"{self.sandbox.ready['proxies'][index]['url']}{path}", **bearer, **headers)


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


@pytest.fixture
def site(folder: Path, request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(folder, ("--nodes", "2", *getattr(request, "param", ()))) as running:
        yield running


def created(client: Client, **fields: object) -> dict[str, Any]:
    """A JWT virtual proxy linked to both proxies."""
    nodes = client.qrs("GET", "servernodeconfiguration")[1]
    body = {
        "prefix": "jwt",
        "description": "d",
        "sessionCookieHeaderName": "X-Qlik-Session-jwt",
        "authenticationMethod": 4,
        "loadBalancingServerNodes": [{"id": node["id"]} for node in nodes],
        "jwtPublicKeyCertificate": KEY.certificate("x", 10, datetime.now(UTC)),
        "jwtAttributeUserId": "userId",
        "jwtAttributeUserDirectory": "[CORP]",
        "jwtAttributeMap": [{"senseAttribute": "group", "jwtAttribute": "groups", "isMandatory": False}],
        **fields,
    }
    status, entity = client.qrs("POST", "virtualproxyconfig", body)
    assert status == 201, entity
    for proxy in client.qrs("GET", "proxyservice/full")[1]:
        proxy["settings"]["virtualProxies"].append({"id": entity["id"]})
        assert client.qrs("PUT", f"proxyservice/{proxy['id']}", proxy)[0] == 200
    assert isinstance(entity, dict)
    return entity


def token(algorithm: Algorithm = Algorithm.RS256, key: PrivateKey = KEY, **claims: Json) -> str:
    times: dict[str, Json] = {"exp": int((datetime.now(UTC) + timedelta(minutes=5)).timestamp()), "userId": "alice"}
    return key.token({**times, **claims}, algorithm)


def test_the_ready_line_and_the_files(site: Sandbox) -> None:
    assert set(site.ready) == {"qrs", "qps", "proxies", "dir", "config"}
    assert [proxy["host"] for proxy in site.ready["proxies"]] == ["localhost", "rim1.localhost"]
    for name in ("root.pem", "client.pem", "client_key.pem", "client.pfx", "client.pfx.password", "rotator.toml"):
        assert (site.folder / name).stat().st_mode & 0o777 == 0o600
    site.process.send_signal(signal.SIGTERM)
    assert site.process.wait(10) == 0


def test_who_may_ask_qrs(site: Sandbox) -> None:
    assert Client(site).qrs("GET", "about")[0] == 200
    assert Client(site, certificate=None).qrs("GET", "about") == (403, "Forbidden")
    assert Client(site, user="").qrs("GET", "about") == (403, "Forbidden")
    with pytest.raises((ssl.SSLError, urllib.error.URLError, ConnectionError)):
        Client(site, certificate="stranger").qrs("GET", "about")


@pytest.mark.parametrize(
    ("query", "header"), [("short", "short"), (XRF, "fedcba9876543210"), (XRF[:-1] + "-", XRF[:-1] + "-"), (XRF, "")]
)
def test_xrf_keys(site: Sandbox, query: str, header: str) -> None:
    said = Client(site).qrs("GET", "about", xrf=query, key=header)
    assert said == (403, "XSRF prevention check failed. Possible XSRF discovered.")


def test_filters(site: Sandbox) -> None:
    client = Client(site)
    created(client, description="it's")

    def found(expression: str) -> object:
        status, answer = client.qrs("GET", "virtualproxyconfig", query="&filter=" + urllib.parse.quote(expression))
        return len(answer) if status == 200 else (status, answer)

    for expression, count in {
        "prefix eq 'jwt'": 1,
        "Prefix eq 'JWT'": 0,
        "prefix ne 'jwt'": 1,
        "(prefix so 'w' and defaultVirtualProxy eq false)": 1,
        "prefix sw 'j' or prefix ew 't'": 1,
        r"description eq 'it\'s'": 1,
        "sessionInactivityTimeout ge 30 and sessionInactivityTimeout lt 31": 2,
        "loadBalancingServerNodes.hostName so 'rim'": 1,
        "defaultVirtualProxy eq true": 1,
    }.items():
        assert found(expression) == count, expression
    for wrong in ("prefix eq 'jwt", "prefix", "eq 'x'", "prefix eq", "nosuch eq 'x'", "(prefix eq 'x'"):
        assert found(wrong) == (400, f"Cannot parse the expression: {wrong}")
    assert client.qrs("GET", "virtualproxyconfig", query="&filter=prefix%20eq%20'a'&b")[0:2] == (
        400,
        "Missing parameter value(s)",
    )
    assert client.qrs("GET", "virtualproxyconfig/count")[1] == {"value": 2}


def test_entities_are_replaced_whole(site: Sandbox) -> None:
    client = Client(site)
    entity = created(client)
    path = f"virtualproxyconfig/{entity['id']}"
    whole = client.qrs("GET", path)[1]
    condensed = client.qrs("GET", "virtualproxyconfig")[1][1]
    assert {"modifiedDate", "createdDate", "schemaPath", "customProperties"} <= set(whole) - set(condensed)
    stale = {**whole, "modifiedDate": "2000-01-01T00:00:00.000Z"}
    assert client.qrs("PUT", path, stale)[0] == 409
    assert client.qrs("PUT", path, {key: value for key, value in whole.items() if key != "modifiedDate"})[0] == 409
    assert client.qrs("PUT", path, {**whole, "id": "other"})[0] == 400
    assert client.qrs("PUT", path, {**whole, "sessionInactivityTimeout": "30"})[0] == 400
    assert client.qrs("PUT", path, {**whole, "tags": None})[0] == 500
    assert client.qrs("PUT", path, b"{")[0] == 400
    assert (
        client.qrs(
            "PUT", path, {**whole, "loadBalancingServerNodes": [{"id": "00000000-0000-0000-0000-000000000000"}]}
        )[0]
        == 400
    )
    less = {key: value for key, value in whole.items() if key != "sessionInactivityTimeout"}
    status, after = client.qrs("PUT", path, {**less, "description": "new"})
    assert (status, after["sessionInactivityTimeout"], after["description"]) == (200, 30, "new")
    assert after["modifiedDate"] > whole["modifiedDate"]
    assert client.qrs("GET", "about/api/default/virtualproxyconfig")[1]["sessionInactivityTimeout"] == 30
    assert client.qrs("DELETE", path)[0] == 204
    assert client.qrs("GET", path)[0] == 404
    default = client.qrs("GET", "virtualproxyconfig")[1][0]["id"]
    assert client.qrs("DELETE", f"virtualproxyconfig/{default}")[0] == 400


@pytest.mark.parametrize(
    "fields",
    [
        {"prefix": "JWT"},
        {"prefix": "other", "sessionCookieHeaderName": "x-qlik-session-JWT"},
        {"prefix": "hub"},
        {"prefix": "a/b"},
        {"prefix": "o", "sessionCookieHeaderName": ""},
    ],
)
def test_what_cannot_be_created(site: Sandbox, fields: dict[str, str]) -> None:
    client = Client(site)
    created(client)
    body = {"prefix": "other", "description": "other", "sessionCookieHeaderName": "other", **fields}
    assert client.qrs("POST", "virtualproxyconfig", body)[0] == 400


def test_links_by_the_qmcs_bulk_edit(site: Sandbox) -> None:
    client = Client(site)
    entity = client.qrs("POST", "virtualproxyconfig", {"prefix": "jwt", "sessionCookieHeaderName": "c"})[1]
    proxy = client.qrs("GET", "proxyservice/full")[1][0]
    selection = client.qrs("POST", "selection", {"items": [{"type": "ProxyService", "objectID": proxy["id"]}]})[1]["id"]
    change = {"name": "refList_VirtualProxyConfig", "value": {"added": [entity["id"]], "removed": []}}
    body = {"children": [{"name": "settings", "properties": [change]}], "latestModifiedDate": proxy["modifiedDate"]}
    assert client.qrs("PUT", f"selection/{selection}/ProxyService/synthetic", body)[0] == 204
    assert client.qrs("PUT", f"selection/{selection}/ProxyService/synthetic", body)[0] == 409
    linked = client.qrs("GET", f"proxyservice/{proxy['id']}")[1]["settings"]["virtualProxies"]
    assert len(linked) == 2
    assert client.qrs("DELETE", f"selection/{selection}")[0] == 204


def test_logins(site: Sandbox) -> None:
    client = Client(site)
    created(client)
    status, _, headers = client.proxy("/jwt/qps/csrftoken", token())
    assert status == 204
    assert headers["qlik-csrf-token"]
    cookie = headers["Set-Cookie"].split(";")[0]
    assert cookie.startswith("X-Qlik-Session-jwt=")
    who = client.proxy("/jwt/qps/user", Cookie=cookie)[1]
    assert (who["userId"], who["userDirectory"]) == ("alice", "CORP")
    assert client.proxy("/jwt/hub/", Cookie=cookie)[0] == 200
    assert client.proxy("/jwt/qps/user", token(key=PrivateKey.generate(2048)), Cookie=cookie)[0] == 401
    assert client.proxy("/jwt/qps/user", Cookie=cookie, method="DELETE")[0] == 204
    assert client.proxy("/jwt/qps/user", Cookie=cookie)[0:2] == (
        401,
        "Could not authenticate the request: Expected an authentication header.",
    )
    for algorithm in Algorithm:
        assert client.proxy("/jwt/qps/user", token(algorithm))[0] == 200
        client.sandbox.control("DELETE", "/sessions")


@pytest.mark.parametrize(
    "made",
    [
        lambda: token(exp=int(datetime.now(UTC).timestamp()) - 1),
        lambda: token(nbf=int(datetime.now(UTC).timestamp()) + 60),
        lambda: token(exp="soon"),
        lambda: KEY.token({"UserId": "alice"}, Algorithm.RS256),
        lambda: token(key=PrivateKey.generate(2048)),
        lambda: jwt.encode({"userId": "alice"}, "s" * 64, "HS256"),
        lambda: jwt.encode({"userId": "alice"}, ec.generate_private_key(ec.SECP256R1()), "ES256"),
        lambda: jwt.encode({"userId": "alice"}, "", "none"),
        lambda: "nonsense",
    ],
)
def test_tokens_that_are_refused(site: Sandbox, made: Any) -> None:
    client = Client(site)
    created(client)
    assert client.proxy("/jwt/qps/user", made())[0] == 401


def test_audience_mandatory_attributes_and_blocked_users(site: Sandbox) -> None:
    client = Client(site)
    mandatory = [{"senseAttribute": "group", "jwtAttribute": "groups", "isMandatory": True}]
    created(client, jwtAudience="qlik", jwtAttributeMap=mandatory)
    assert client.proxy("/jwt/qps/user", token(groups=["a"]))[0] == 401
    assert client.proxy("/jwt/qps/user", token(aud="qlik"))[0] == 401
    assert client.proxy("/jwt/qps/user", token(aud=["qlik"], groups=["a", "b"]))[0] == 200
    headers = {"X-Qlik-User": client.user, "X-Qlik-Xrfkey": XRF}
    sessions = client.ask("GET", f"{site.ready['qps']}/qps/jwt/session?xrfkey={XRF}", **headers)[1]
    assert sessions[0]["Attributes"] == [{"group": "a"}, {"group": "b"}]
    user = client.qrs("GET", "user/full", query="&filter=" + urllib.parse.quote("userId eq 'alice'"))[1][0]
    assert client.qrs("PUT", f"user/{user['id']}", {**user, "blacklisted": True})[0] == 200
    assert client.proxy("/jwt/qps/user", token(aud="qlik", groups=["a"]))[0] == 401


def test_the_sixth_session_fails_and_a_restart_ends_all(site: Sandbox) -> None:
    client = Client(site)
    entity = created(client)
    assert [client.proxy("/jwt/qps/user", token())[0] for _ in range(6)] == [200] * 5 + [403]
    assert "too many sessions" in client.proxy("/jwt/qps/user", token())[1]
    whole = client.qrs("GET", f"virtualproxyconfig/{entity['id']}")[1]
    assert client.qrs("PUT", f"virtualproxyconfig/{entity['id']}", whole)[0] == 200
    assert site.control("GET", "/sessions") == []
    assert site.control("GET", "/cut") == 5


def test_an_unknown_prefix_is_a_page_of_88_kb(site: Sandbox) -> None:
    status, body, _ = Client(site).proxy("/nothing/qps/user", token())
    assert status == 400
    assert "The http request header is incorrect" in body
    assert len(body) >= 88 * 1024


def test_rules_show_a_service_user_little(site: Sandbox) -> None:
    client = Client(site)
    entity = created(client)
    few = Client(site, user="UserDirectory=SVC; UserId=rotator")
    assert few.qrs("GET", "virtualproxyconfig")[1] == []
    assert few.qrs("GET", f"virtualproxyconfig/{entity['id']}")[0] == 403
    rule = {
        "rule": '((user.userDirectory="SVC" and user.userId="rotator"))',
        "resourceFilter": f"VirtualProxyConfig_{entity['id']}",
        "actions": 6,
    }
    assert client.qrs("POST", "systemrule", {"name": "r", **rule})[0] == 201
    seen = few.qrs("GET", f"virtualproxyconfig/{entity['id']}")[1]
    assert seen["loadBalancingServerNodes"] == []
    assert few.qrs("DELETE", f"virtualproxyconfig/{entity['id']}")[0] == 403


@pytest.mark.parametrize("site", [("--restart-delay", "0.2-0.4")], indirect=True)
def test_a_change_takes_its_time_and_then_is_there(site: Sandbox) -> None:
    client = Client(site)
    created(client)
    site.control("GET", "/idle")
    assert client.proxy("/jwt/qps/user", token())[0] == 200
    assert client.proxy("/jwt/qps/user", token(), index=1)[0] == 200


def test_a_late_put_is_applied_after_its_answer_was_lost(site: Sandbox) -> None:
    client = Client(site)
    entity = created(client)
    site.fault("late=0.2@qrs:PUT")
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        client.qrs("PUT", f"virtualproxyconfig/{entity['id']}", {**entity, "description": "late"})
    deadline = datetime.now(UTC) + timedelta(seconds=10)
    while client.qrs("GET", f"virtualproxyconfig/{entity['id']}")[1]["description"] != "late":
        assert datetime.now(UTC) < deadline, "the change never came"


def test_a_proxy_that_is_down_comes_back_before_it_restarts_again() -> None:
    import asyncio
    from types import SimpleNamespace

    from rotator.sandbox.faults import Faults
    from rotator.sandbox.restarts import Restarts
    from rotator.sandbox.unknowns import Unknowns

    said: list[str] = []
    is_down = asyncio.Event()

    class Port:
        async def close(self, *, cut: bool) -> None:
            said.append("close" if cut else "finish")
            is_down.set()

        async def open(self) -> None:
            said.append("open")

    async def changed_twice() -> None:
        restarts = Restarts(0.2, 0.2, 1, faults=Faults(), unknowns=Unknowns())
        proxy: Any = SimpleNamespace(service_id="p", host="localhost", apply=lambda: 0)
        port: Any = Port()
        restarts.attach({"p": (proxy, port)})
        restarts.restart("p")
        await is_down.wait()
        restarts.shortest = restarts.longest = 0.01
        restarts.restart("p")
        await restarts.idle()

    asyncio.run(changed_twice())
    assert said == ["close", "open", "close", "open"]


def test_a_folder_of_others_is_left_alone(folder: Path) -> None:
    import subprocess

    mine = folder / "client.pem"
    mine.write_text("mine")
    folder.chmod(0o755)
    ended = subprocess.run((*ROTATOR, "sandbox", "--dir", str(folder)), capture_output=True, text=True, timeout=20)
    assert (ended.returncode, mine.read_text(), folder.stat().st_mode & 0o777) == (2, "mine", 0o755)


def test_a_tag_that_is_deleted_goes_from_its_virtual_proxies(site: Sandbox) -> None:
    client = Client(site)
    entity = created(client)
    tag = client.qrs("POST", "tag", {"name": "t"})[1]
    client.qrs("PUT", f"virtualproxyconfig/{entity['id']}", {**entity, "tags": [{"id": tag["id"]}]})
    assert client.qrs("DELETE", f"tag/{tag['id']}")[0] == 204
    assert client.qrs("GET", f"virtualproxyconfig/{entity['id']}")[1]["tags"] == []


def test_the_configuration_of_a_folder_with_an_odd_name_can_be_read(folder: Path) -> None:
    import tomllib

    odd = folder / 'a"b\\c'
    with Sandbox(odd) as running:
        assert tomllib.loads(running.config.read_text())["site"]["sandbox"]["root_ca"] == f"{odd}/root.pem"


def test_rubbish_is_answered(site: Sandbox) -> None:
    import socket

    for index in (0, 1):
        port = urllib.parse.urlsplit(site.ready["proxies"][index]["url"]).port
        with (
            socket.create_connection(("127.0.0.1", port or 0)) as plain,
            Client(site).trust.wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            sock.sendall(b"\x00rubbish\r\n\r\n" + os.urandom(200))
            assert sock.recv(100).startswith(b"HTTP/1.")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--fault", "explode"),
        ("--fault", "slow"),
        ("--fault", "reset=1"),
        ("--unknown", "nosuch=1"),
        ("--unknown", "logout=never"),
        ("--release", "1999-01"),
        ("--restart-delay", "x"),
        ("--proxy-port", "x"),
        ("--proxy-port", "65536"),
    ],
)
def test_options_that_mean_nothing(folder: Path, arguments: tuple[str, ...]) -> None:
    import subprocess

    ended = subprocess.run(
        (*ROTATOR, "sandbox", "--dir", str(folder), *arguments), capture_output=True, text=True, timeout=20
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("rotator: error: ")
    assert "Traceback" not in ended.stderr


def test_the_help_lists_every_unknown_and_fault(folder: Path) -> None:
    import subprocess

    said = subprocess.run((*ROTATOR, "sandbox", "--help"), capture_output=True, text=True, check=True).stdout
    for key, (_, answers) in QUESTIONS.items():
        assert f"{key}={'|'.join(answers)}" in " ".join(said.split())
    assert not list(folder.iterdir())
