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
        address = f"[{self.address}]" if ":" in self.address else self.address
        return f"https://{address}:{self.port}"


def to_qrs(site: Site) -> Route:
    return _to_url(site.qrs, site.server_name, str(site.root_ca))


def to_access(site: Site, url: str) -> Route:
    return _to_url(url, None, site.proxy_ca)


def to_proxy(site: Site, proxy: ProxyService) -> Route | None:
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
    return _route(proxy.host, proxy.rest_port, proxy.host, str(site.root_ca))


def _to_url(url: str, name: str | None, ca: str) -> Route:
    parts = urlsplit(url)
    host, port = str(parts.hostname), parts.port or HTTPS
    return Route(loopback(host), port, name or host, with_port(host, port), ca)


def _route(host: str, port: int, name: str, ca: str) -> Route:
    return Route(loopback(host), port, name, with_port(name, port), ca)


def with_port(host: str, port: int) -> str:
    return host if port == HTTPS else f"{host}:{port}"


def loopback(host: str) -> str:
    return LOOPBACK if host.lower() == "localhost" or host.lower().endswith(".localhost") else host
