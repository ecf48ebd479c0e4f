"""The stand-in's proxies behave as the facts say: who logs in, what ends a session, what a change does."""

import os
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from plain_client import KEY, XRF, Client, created, token
from sandbox_process import Sandbox

from rotator.keys import PrivateKey
from rotator.model import Algorithm


def test_logins(sandbox: Sandbox) -> None:
    client = Client(sandbox)
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


@pytest.mark.parametrize("path", ["/", "/hub/", "/qmc/", "/qps/user", "/QRS/about"])
def test_words_of_qlik_belong_to_the_default_virtual_proxy(sandbox: Sandbox, path: str) -> None:
    assert Client(sandbox).proxy(path)[0] == 302
    assert Client(sandbox).proxy(f"/nowhere{path}")[0] == 400


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
def test_tokens_that_are_refused(sandbox: Sandbox, made: Any) -> None:
    client = Client(sandbox)
    created(client)
    assert client.proxy("/jwt/qps/user", made())[0] == 401


def test_audience_mandatory_attributes_and_blocked_users(sandbox: Sandbox) -> None:
    client = Client(sandbox)
    mandatory = [{"senseAttribute": "group", "jwtAttribute": "groups", "isMandatory": True}]
    created(client, jwtAudience="qlik", jwtAttributeMap=mandatory)
    assert client.proxy("/jwt/qps/user", token(groups=["a"]))[0] == 401
    assert client.proxy("/jwt/qps/user", token(aud="qlik"))[0] == 401
    assert client.proxy("/jwt/qps/user", token(aud=["qlik"], groups=["a", "b"]))[0] == 200
    headers = {"X-Qlik-User": client.user, "X-Qlik-Xrfkey": XRF}
    sessions = client.ask("GET", f"{sandbox.ready['qps']}/qps/jwt/session?xrfkey={XRF}", **headers)[1]
    assert sessions[0]["Attributes"] == [{"group": "a"}, {"group": "b"}]
    user = client.qrs("GET", "user/full", query="&filter=" + urllib.parse.quote("userId eq 'alice'"))[1][0]
    assert client.qrs("PUT", f"user/{user['id']}", {**user, "blacklisted": True})[0] == 200
    assert client.proxy("/jwt/qps/user", token(aud="qlik", groups=["a"]))[0] == 401


def test_the_sixth_session_fails_and_a_restart_ends_all(sandbox: Sandbox) -> None:
    client = Client(sandbox)
    entity = created(client)
    assert [client.proxy("/jwt/qps/user", token())[0] for _ in range(6)] == [200] * 5 + [403]
    assert "too many sessions" in client.proxy("/jwt/qps/user", token())[1]
    whole = client.qrs("GET", f"virtualproxyconfig/{entity['id']}")[1]
    assert client.qrs("PUT", f"virtualproxyconfig/{entity['id']}", whole)[0] == 200
    assert sandbox.control("GET", "/sessions") == []
    assert sandbox.control("GET", "/cut") == 5


def test_an_unknown_prefix_is_a_page_of_88_kb(sandbox: Sandbox) -> None:
    status, body, _ = Client(sandbox).proxy("/nothing/qps/user", token())
    assert status == 400
    assert "The http request header is incorrect" in body
    assert len(body) >= 88 * 1024


def test_a_change_takes_its_time_and_then_is_there(folder: Path) -> None:
    with Sandbox(folder, ("--nodes", "2", "--restart-delay", "0.2-0.4")) as sandbox:
        client = Client(sandbox)
        created(client)
        sandbox.control("GET", "/idle")
        assert client.proxy("/jwt/qps/user", token())[0] == 200
        assert client.proxy("/jwt/qps/user", token(), index=1)[0] == 200


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


def test_rubbish_is_answered(sandbox: Sandbox) -> None:
    import socket

    for index in (0, 1):
        port = urllib.parse.urlsplit(sandbox.ready["proxies"][index]["url"]).port
        with (
            socket.create_connection(("127.0.0.1", port or 0)) as plain,
            Client(sandbox).trust.wrap_socket(plain, server_hostname="localhost") as sock,
        ):
            sock.sendall(b"\x00rubbish\r\n\r\n" + os.urandom(200))
            assert sock.recv(100).startswith(b"HTTP/1.")
