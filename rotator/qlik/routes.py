"""Where a connection goes and whom it must meet there, pure."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from rotator.model import ProxyService, Site


HTTPS: Final = 443
LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Route:
    """`address` and `port` are connected to; `name` is checked in the certificate; `host` is the Host header."""

    address: str
    port: int
    name: str
    host: str
    ca: str

    @property
    def base(self) -> str:
        """The URL that connects to the address."""
        return f"https://{bracketed(self.address)}:{self.port}"


def to_qrs(site: Site) -> Route:
    """The repository service: `server_name` is the name in its certificate where that is not the one in the URL."""
    return to_url(site.qrs, site.server_name, str(site.root_ca))


def to_access(site: Site, url: str) -> Route:
    """The virtual proxy through which QRS is reached with a JWT."""
    return to_url(url, None, site.proxy_ca)


def to_webhook(url: str, ca: str) -> Route:
    """The server of a webhook's URL."""
    return to_url(url, None, ca)


def to_proxy(site: Site, proxy: ProxyService) -> Route | None:
    """A proxy for test logins: its node's host name and listen port, or what `[site.NAME.probe]` says; None: skip."""
    probe = site.probe.get(proxy.host.lower())
    if probe is None:
        return _route(proxy.host, proxy.listen_port, proxy.host, site.proxy_ca)
    if probe.skip:
        return None
    name = probe.host or (probe.connect[0] if probe.connect else proxy.host)
    ca = probe.ca or site.proxy_ca
    if probe.connect is None:
        return _route(proxy.host, proxy.listen_port, name, ca)
    address, port = probe.connect
    return Route(loopback(address), port, name, name if probe.host else with_port(name, port), ca)


def to_qps(site: Site, proxy: ProxyService) -> Route:
    """The proxy service's own REST port, with the client certificate."""
    return _route(proxy.host, proxy.rest_port, proxy.host, str(site.root_ca))


def to_url(url: str, name: str | None, ca: str) -> Route:
    """Whatever listens at a URL; `name` is the one in its certificate where that is not the one in the URL."""
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or HTTPS
    return Route(loopback(host), port, name or host, with_port(host, port), ca)


def _route(host: str, port: int, name: str, ca: str) -> Route:
    return Route(loopback(host), port, name, with_port(name, port), ca)


def with_port(host: str, port: int) -> str:
    """A Host header: the port only where it is not the scheme's own (RFC 9110, 7.2)."""
    return bracketed(host) if port == HTTPS else f"{bracketed(host)}:{port}"


def bracketed(host: str) -> str:
    """A host as URLs and Host headers have it: IPv6 addresses in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def loopback(host: str) -> str:
    """Names under .localhost are this machine, whatever a resolver may say (RFC 6761, 6.3)."""
    return LOOPBACK if host.lower() == "localhost" or host.lower().endswith(".localhost") else host
