"""What a Qlik Sense answers, as values: the shapes of its documentation."""

from typing import Any, Final


USER: Final = ("ROTATOR", "probe")
PREFIX: Final = "jwt"

NODE: Final = {
    "id": "2d2f6d6a-7a26-4cb4-9f7b-6a0f5f4d7c01",
    "name": "Central",
    "hostName": "central.localhost",
    "isCentral": True,
    "roles": [{"id": "b0f9fd6e-1a39-4f1f-9d43-0a1d0cfb9a11", "definition": 0, "privileges": None}],
    "serviceCluster": {"id": "9b7b5b6e-0a51-4a0f-8c61-6ad1c8c7a001", "name": "ServiceCluster", "privileges": None},
    "privileges": None,
}
VIRTUAL_PROXY: Final = {
    "id": "d4b844ba-66cc-4a38-aa6c-8d0516641bc2",
    "createdDate": "2026-01-15T18:09:51.896Z",
    "modifiedDate": "2026-01-15T18:09:51.896Z",
    "modifiedByUserName": "INTERNAL\\sa_api",
    "customProperties": [],
    "prefix": PREFIX,
    "description": "JWT for integrations",
    "loadBalancingServerNodes": [NODE],
    "authenticationMethod": 4,
    "anonymousAccessMode": 0,
    "windowsAuthenticationEnabledDevicePattern": "Windows",
    "sessionCookieHeaderName": "X-Qlik-Session-jwt",
    "additionalResponseHeaders": "",
    "sessionInactivityTimeout": 30,
    "websocketCrossOriginWhiteList": ["qlik.example.com"],
    "defaultVirtualProxy": False,
    "tags": [],
    "jwtAttributeUserId": "userId",
    "jwtAttributeUserDirectory": "userDirectory",
    "jwtAudience": "",
    "jwtPublicKeyCertificate": "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----\n",
    "jwtAttributeMap": [{"senseAttribute": "group", "jwtAttribute": "groups", "isMandatory": False}],
    "oidcClientSecret": "",
    "privileges": None,
    "schemaPath": "VirtualProxyConfig",
}
PROXY: Final = {
    "id": "9d5d7900-3e52-4f22-b6b9-51f38a3afe86",
    "modifiedDate": "2026-01-15T18:12:03.120Z",
    "serverNodeConfiguration": NODE,
    "settings": {
        "id": "9d5d7900-3e52-4f22-b6b9-51f38a3afe86",
        "listenPort": 443,
        "keepAliveTimeoutSeconds": 10,
        "restListenPort": 4243,
        "virtualProxies": [VIRTUAL_PROXY],
        "schemaPath": "ProxyService.Settings",
    },
    "schemaPath": "ProxyService",
}
SESSIONS: Final = [{"UserDirectory": "LAB", "UserId": "goran", "Attributes": [], "SessionId": "ea7821ab-dbad-4b1f"}]
WHO: Final = {"userId": USER[1], "userDirectory": USER[0], "userName": "Probe", "logoutUri": "https://server/qps/user"}
ABOUT: Final = {"buildVersion": "30.4.0.0", "buildDate": "10/8/2021 12:43:37 PM", "schemaPath": "About"}


def proper(method: str, path: str) -> tuple[int, Any, dict[str, str]]:
    """Status, body and headers that a Qlik Sense gives to a request."""
    path = path.partition("?")[0]
    cookie = {"Set-Cookie": "X-Qlik-Session-jwt=0b6f9f5e; Path=/; HttpOnly; Secure"}
    if path.endswith("/qps/csrftoken"):
        return 204, None, {**cookie, "qlik-csrf-token": "5c1a"}
    if path.endswith("/qps/user"):
        return (204, None, {}) if method == "DELETE" else (200, WHO, cookie)
    if path.endswith("/session"):
        return 200, SESSIONS, {}
    if "/qrs/selection" in path:
        return (201, {"id": "5e1ec7"}, {}) if method == "POST" else (204, None, {})
    body: Any = {"about": ABOUT, "virtualproxyconfig": VIRTUAL_PROXY, "proxyservice": PROXY}.get(
        path.removeprefix("/" + PREFIX).split("/")[2], [NODE]
    )
    if path.endswith("/full"):
        body = [body]
    return (201 if method == "POST" else 200), body, {}
