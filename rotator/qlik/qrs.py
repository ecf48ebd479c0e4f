"""The Qlik Repository Service, through either door."""

import logging
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from rotator.errors import ServerError, UnexpectedAnswer
from rotator.model import Json, Node, Privileges, ProxyService, VirtualProxy
from rotator.qlik import wire
from rotator.qlik.doors import Door
from rotator.qlik.failures import excerpt


log = logging.getLogger(__name__)
VIRTUAL_PROXY: Final = "/qrs/virtualproxyconfig"
PROXY: Final = "/qrs/proxyservice"
_CREATED: Final = 201
_OK: Final = 200


class Qrs:
    """Implements ports.Repository."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def build_version(self) -> str:
        """The version of the server, e.g. `30.4.0.0`."""
        return excerpt(str(wire.one(self._door.ask("GET", "/qrs/about")).get("buildVersion", "unknown")))

    def clock_offset(self) -> float | None:
        """Seconds that the server's clock is ahead of ours."""
        return self._door.transport.clock_offset

    def virtual_proxies(self) -> tuple[VirtualProxy, ...]:
        """All that the caller may see, whole: the condensed list lacks modifiedDate and custom properties."""
        answer = self._door.ask("GET", f"{VIRTUAL_PROXY}/full")
        return tuple(wire.virtual_proxy(entity, answer) for entity in wire.many(answer))

    def virtual_proxy(self, proxy_id: str) -> VirtualProxy:
        """One, whole. Raises NotFound."""
        answer = self._door.ask("GET", f"{VIRTUAL_PROXY}/{quote(proxy_id, safe='')}")
        return wire.virtual_proxy(wire.one(answer), answer)

    def find(self, prefix: str) -> VirtualProxy | None:
        """The one with this prefix. The filter is the server's, the comparison ours: its case rules are not documented."""
        answer = self._door.ask("GET", f"{VIRTUAL_PROXY}/full", {"filter": f"prefix eq {quoted(prefix)}"})
        found = [wire.virtual_proxy(entity, answer) for entity in wire.many(answer)]
        return next((item for item in found if item.prefix.casefold() == prefix.casefold()), None)

    def create(self, body: Mapping[str, Json]) -> VirtualProxy:
        """POST a new virtual proxy. Raises BadRequest, Conflict; UnexpectedAnswer too where it may have been created."""
        answer = self._door.ask("POST", VIRTUAL_PROXY, body=dict(body))
        if answer.status not in (_OK, _CREATED):
            raise UnexpectedAnswer(
                f"POST {VIRTUAL_PROXY}: status {answer.status} does not say what was created", hint="run it again"
            )
        return wire.virtual_proxy(wire.one(answer), answer)

    def update(self, entity: Mapping[str, Json]) -> None:
        """PUT a whole entity: what it lacks would be reset to defaults. Raises Conflict."""
        proxy_id = str(entity["id"])
        answer = self._door.ask("PUT", f"{VIRTUAL_PROXY}/{quote(proxy_id, safe='')}", body=dict(entity))
        if answer.status == _OK:
            wire.virtual_proxy(wire.one(answer), answer)

    def proxies(self) -> tuple[ProxyService, ...]:
        """The proxies of the site, the central one first."""
        answer = self._door.ask("GET", f"{PROXY}/full")
        found = [wire.proxy_service(entity, answer) for entity in wire.many(answer)]
        return tuple(sorted(found, key=lambda proxy: (not proxy.central, proxy.host)))

    def nodes(self) -> tuple[Node, ...]:
        """The server nodes."""
        answer = self._door.ask("GET", "/qrs/servernodeconfiguration")
        return tuple(wire.node(entity, answer) for entity in wire.many(answer))

    def privileges(self) -> Privileges:
        """What the caller may do with what it sees.

        QRS adds that to the entities where it is asked to (Repository Service API, "Adding privileges"). These entities
        are for reading alone: they are no body of a PUT.
        """
        told = []
        for path in (VIRTUAL_PROXY, PROXY):
            answer = self._door.ask("GET", f"{path}/full", {"privileges": "true"})
            told.append(dict(wire.privileges(entity, answer) for entity in wire.many(answer)))
        return Privileges(*told)

    def link(self, proxy: ProxyService, proxy_id: str) -> None:
        """Link a virtual proxy to a proxy, taking no other link away.

        Under the certificate as documented, by a PUT of the whole proxy, all of which is seen. A caller with fewer
        rights would erase the links that it does not see: it uses the QMC's bulk edit, which names what is added alone.
        """
        if self._door.direct:
            self._link_whole(proxy, proxy_id)
        else:
            self._link_added(proxy, proxy_id)

    def _proxy(self, service_id: str) -> tuple[Mapping[str, Any], ProxyService]:
        answer = self._door.ask("GET", f"{PROXY}/{quote(service_id, safe='')}")
        entity = wire.one(answer)
        return entity, wire.proxy_service(entity, answer)

    def _link_whole(self, proxy: ProxyService, proxy_id: str) -> None:
        entity, fresh = self._proxy(proxy.id)
        if proxy_id in fresh.virtual_proxies:
            return
        settings = entity["settings"]
        linked = [*settings["virtualProxies"], {"id": proxy_id}]
        body = {**entity, "settings": {**settings, "virtualProxies": linked}}
        self._door.ask("PUT", f"{PROXY}/{quote(proxy.id, safe='')}", body=body)

    def _link_added(self, proxy: ProxyService, proxy_id: str) -> None:
        items = {"items": [{"type": "ProxyService", "objectID": proxy.id}]}
        selection = quote(wire.selection(self._door.ask("POST", "/qrs/selection", body=items)), safe="")
        try:
            change = {"added": [proxy_id], "removed": []}
            body = {
                "type": "ProxyService",
                "children": [
                    {
                        "name": "settings",
                        "type": "ProxyService.Settings",
                        "properties": [
                            {
                                "name": "refList_VirtualProxyConfig",
                                "value": change,
                                "valueIsDifferent": False,
                                "valueIsModified": True,
                            }
                        ],
                    }
                ],
                "properties": [],
                "latestModifiedDate": self._proxy(proxy.id)[1].modified,
            }
            self._door.ask("PUT", f"/qrs/selection/{selection}/ProxyService/synthetic", body=body)
        finally:
            self._forget(selection)

    def _forget(self, selection: str) -> None:
        """Remove a selection. The proxy that leads here may be restarting by now; QRS drops selections by itself."""
        try:
            self._door.ask("DELETE", f"/qrs/selection/{selection}")
        except ServerError as error:
            log.info("a selection was not removed: %s", error.message)


def quoted(text: str) -> str:
    """A text in a filter expression."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
