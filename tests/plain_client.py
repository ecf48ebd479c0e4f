"""A client of Qlik Sense that is none of rotator's: bodies and statuses as they come."""

import json
import ssl
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox_process import Sandbox

from rotator.keys import PrivateKey
from rotator.model import Algorithm, Json


KEY = PrivateKey.generate(2048)
XRF = "0123456789abcdef"


class Client:
    """By the client certificate as this user, unless said otherwise; redirects are not followed."""

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
