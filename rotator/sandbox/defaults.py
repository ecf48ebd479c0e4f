"""Entities as a fresh site has them, and the defaults of a virtual proxy."""

import uuid
from typing import Any, Final

from rotator.sandbox.releases import Release


EMPTY_GUID: Final = "00000000-0000-0000-0000-000000000000"
SERVICE_USER: Final = "INTERNAL\\sa_repository"
CONDENSED_LACKS: Final = frozenset(
    {"createdDate", "modifiedDate", "modifiedByUserName", "schemaPath", "customProperties"}
)
"""Fields of a virtual proxy that the condensed list does not show."""
_VIRTUAL_PROXY: Final[dict[str, Any]] = {
    "customProperties": [],
    "prefix": "",
    "description": "",
    "authenticationModuleRedirectUri": "",
    "sessionModuleBaseUri": "",
    "loadBalancingModuleBaseUri": "",
    "useStickyLoadBalancing": False,
    "loadBalancingServerNodes": [],
    "authenticationMethod": 0,
    "headerAuthenticationMode": 0,
    "headerAuthenticationHeaderName": "",
    "headerAuthenticationStaticUserDirectory": "",
    "headerAuthenticationDynamicUserDirectory": "",
    "anonymousAccessMode": 0,
    "windowsAuthenticationEnabledDevicePattern": "Windows",
    "sessionCookieHeaderName": "",
    "sessionCookieDomain": "",
    "hasSecureAttributeHttps": True,
    "sameSiteAttributeHttps": 0,
    "hasSecureAttributeHttp": False,
    "sameSiteAttributeHttp": 0,
    "additionalResponseHeaders": "",
    "sessionInactivityTimeout": 30,
    "extendedSecurityEnvironment": False,
    "websocketCrossOriginWhiteList": [],
    "defaultVirtualProxy": False,
    "tags": [],
    "samlMetadataIdP": "",
    "samlHostUri": "",
    "samlEntityId": "",
    "samlAttributeUserId": "",
    "samlAttributeUserDirectory": "",
    "samlAttributeSigningAlgorithm": 0,
    "samlAttributeMap": [],
    "jwtAttributeUserId": "",
    "jwtAttributeUserDirectory": "",
    "jwtAudience": "",
    "jwtPublicKeyCertificate": "",
    "jwtAttributeMap": [],
    "magicLinkHostUri": "",
    "magicLinkFriendlyName": "",
    "samlSlo": False,
    **dict.fromkeys(
        (
            "oidcConfigurationEndpointUri",
            "oidcClientId",
            "oidcClientSecret",
            "oidcRealm",
            "oidcAttributeSub",
            "oidcAttributeName",
            "oidcAttributeGroups",
            "oidcAttributeEmail",
            "oidcAttributeClientId",
            "oidcAttributePicture",
            "oidcScope",
        ),
        "",
    ),
    "oidcAttributeMap": [],
    "enableEngineSaturationCheck": False,
    "enableEngineHealthCheckData": False,
    "loadBalancingAlgorithm": 0,
}
USER: Final[dict[str, Any]] = {
    "customProperties": [],
    "userId": "",
    "userDirectory": "",
    "userDirectoryConnectorName": "",
    "name": "",
    "roles": [],
    "attributes": [],
    "inactive": False,
    "removedExternally": False,
    "blacklisted": False,
    "deleteProhibited": False,
    "tags": [],
}
RULE: Final[dict[str, Any]] = {
    "type": "Custom",
    "category": "Security",
    "name": "",
    "rule": "",
    "resourceFilter": "",
    "actions": 0,
    "ruleContext": 0,
    "disabled": False,
    "comment": "",
    "tags": [],
}


def virtual_proxy(release: Release) -> dict[str, Any]:
    """The defaults of a virtual proxy in a release, its undocumented fields among them."""
    known = {field: value for field, value in _VIRTUAL_PROXY.items() if field not in release.absent}
    return {**known, **release.extra}


def node(name: str, host: str, *, central: bool) -> dict[str, Any]:
    """A server node, condensed, and whether it is the central one."""
    return {
        "id": str(uuid.uuid4()),
        "name": name,
        "hostName": host,
        "temporaryfilepath": "C:\\ProgramData\\Qlik\\Sense\\Repository\\Temp\\",
        "roles": [{"id": str(uuid.uuid4()), "definition": 0, "privileges": None}],
        "serviceCluster": {"id": str(uuid.uuid4()), "name": "ServiceCluster", "privileges": None},
        "privileges": None,
        "isCentral": central,
    }


def proxy_settings(service_id: str, listen_port: int, rest_port: int) -> dict[str, Any]:
    """The settings of a proxy service, without its virtual proxies."""
    return {
        "id": service_id,
        "listenPort": listen_port,
        "allowHttp": False,
        "unencryptedListenPort": 80,
        "authenticationListenPort": 4244,
        "kerberosAuthentication": False,
        "unencryptedAuthenticationListenPort": 4248,
        "sslBrowserCertificateThumbprint": "",
        "keepAliveTimeoutSeconds": 10,
        "maxHeaderSizeBytes": 16384,
        "maxHeaderLines": 100,
        "useWsTrace": False,
        "performanceLoggingInterval": 5,
        "restListenPort": rest_port,
    }
