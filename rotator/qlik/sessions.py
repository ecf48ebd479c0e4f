"""How many sessions a restart of a proxy would end, asked of its proxy service."""

import logging
from collections.abc import Callable
from urllib.parse import quote

from rotator.errors import ServerError
from rotator.model import ProxyService
from rotator.qlik import wire
from rotator.qlik.doors import CertificateDoor
from rotator.qlik.qrs import Qrs


log = logging.getLogger(__name__)


class ProxySessions:
    """Implements ports.Sessions. `door` opens the REST port of a proxy, None where only a JWT is at hand."""

    def __init__(self, repository: Qrs, door: Callable[[ProxyService], CertificateDoor] | None) -> None:
        self._repository = repository
        self._door = door

    def count(self, proxy: ProxyService) -> int | None:
        """Sessions on this proxy, over all virtual proxies linked to it; None where it cannot be told."""
        if self._door is None:
            return None
        try:
            door = self._door(proxy)
            linked = [item for item in self._repository.virtual_proxies() if item.id in proxy.virtual_proxies]
            return sum(len(wire.many(door.ask("GET", _path(item.prefix)))) for item in linked)
        except ServerError as error:
            log.info("the sessions on %s cannot be counted: %s", proxy.host, error.message)
            return None


def _path(prefix: str) -> str:
    return f"/qps/{quote(prefix, safe='')}/session" if prefix else "/qps/session"
