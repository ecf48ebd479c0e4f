"""The repository's data: entities with their rules of update, uniqueness and reference."""

import copy
import re
import uuid
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509

from rotator.sandbox import defaults
from rotator.sandbox.clock import Clock
from rotator.sandbox.releases import Release
from rotator.sandbox.unknowns import Unknowns


if TYPE_CHECKING:
    from collections.abc import Callable

Entity = dict[str, Any]
RESERVED: Final = frozenset(
    [
        "qmc",
        "hub",
        "client",
        "qps",
        "qrs",
        "app",
        "apps",
        "api",
        "content",
        "resources",
        "extensions",
        "devhub",
        "login",
    ]
)
_PREFIX: Final = re.compile(r"[a-z0-9._~-]+")
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SERVER_SET: Final = ("id", "createdDate", "modifiedDate", "modifiedByUserName", "schemaPath", "privileges")


class Rejected(Exception):
    """A request that QRS refuses: the status, and the plain text with it."""

    def __init__(self, status: int, text: str = "") -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class Repository:
    """One site. `changed` is called with a proxy service's id whenever its proxy has to restart."""

    def __init__(self, release: Release, unknowns: Unknowns, clock: Clock) -> None:
        self.release = release
        self.unknowns = unknowns
        self.clock = clock
        self.fields = defaults.virtual_proxy(release)
        self.virtual_proxies: dict[str, Entity] = {}
        self.nodes: dict[str, Entity] = {}
        self.proxies: dict[str, Entity] = {}
        self.others: dict[str, dict[str, Entity]] = {
            "user": {},
            "tag": {},
            "systemrule": {},
            "custompropertydefinition": {},
        }
        self.selections: dict[str, list[str]] = {}
        self.changed: Callable[[str], None] = lambda _: None
        self._default()

    # --- virtual proxies

    def _default(self) -> None:
        entity = {**copy.deepcopy(self.fields), "description": "Central Proxy (Default)", "defaultVirtualProxy": True}
        entity["sessionCookieHeaderName"] = "X-Qlik-Session"
        self.virtual_proxies[self._stamped(entity, "VirtualProxyConfig")["id"]] = entity

    def _stamped(self, entity: Entity, schema: str, by: str = defaults.SERVICE_USER) -> Entity:
        now = self.clock.stamp()
        entity.update(
            id=str(uuid.uuid4()),
            createdDate=now,
            modifiedDate=now,
            modifiedByUserName=by,
            schemaPath=schema,
            privileges=None,
        )
        return entity

    def create(self, body: Entity, by: str) -> Entity:
        """POST a virtual proxy. Raises Rejected."""
        if not body.get("sessionCookieHeaderName"):
            raise Rejected(400, "sessionCookieHeaderName is required")
        entity = self._read(body)
        self._check(entity, None)
        self.virtual_proxies[self._stamped(entity, "VirtualProxyConfig", by)["id"]] = entity
        return entity

    def replace(self, entity_id: str, body: Entity, by: str) -> Entity:
        """PUT a whole virtual proxy: what the body lacks gets its default. Raises Rejected."""
        stored = self.virtual_proxies[entity_id]
        self._check_date(stored, body, entity_id)
        entity = {**self._read(body), **{field: stored[field] for field in _SERVER_SET}}
        entity["defaultVirtualProxy"] = stored["defaultVirtualProxy"]
        self._check(entity, entity_id)
        if entity == stored and self.unknowns.is_("idle-put", "ignored"):
            return stored
        entity.update(modifiedDate=self.clock.stamp(), modifiedByUserName=by)
        self.virtual_proxies[entity_id] = entity
        for service_id in self.linked_to(entity_id):
            self.changed(service_id)
        return entity

    def delete(self, entity_id: str) -> None:
        """DELETE a virtual proxy. Raises Rejected."""
        if self.virtual_proxies[entity_id]["defaultVirtualProxy"]:
            raise Rejected(400, "The default virtual proxy cannot be deleted")
        linked = self.linked_to(entity_id)
        del self.virtual_proxies[entity_id]
        for service_id in linked:
            self.proxies[service_id]["links"].remove(entity_id)
            self.changed(service_id)

    def _check_date(self, stored: Entity, body: Entity, entity_id: str) -> None:
        if body.get("id") != entity_id:
            raise Rejected(400, "The id of the body is not that of the URL")
        sent = body.get("modifiedDate")
        if not isinstance(sent, str):
            if self.unknowns.is_("missing-date", "accepted"):
                return
            raise Rejected(409)
        if stored["modifiedDate"] > sent:
            raise Rejected(409)

    def _read(self, body: Entity) -> Entity:
        """The fields of a body over the defaults, types checked. Unknown ones are dropped."""
        entity = copy.deepcopy(self.fields)
        for field, default in self.fields.items():
            if field in body:
                entity[field] = self._value(field, body[field], default)
        entity["prefix"] = entity["prefix"].lower()
        entity["loadBalancingServerNodes"] = [
            {"id": self._reference(item, self.nodes)} for item in entity["loadBalancingServerNodes"]
        ]
        entity["tags"] = [{"id": self._reference(item, self.others["tag"])} for item in entity["tags"]]
        for field in ("jwtAttributeMap", "samlAttributeMap", "oidcAttributeMap"):
            entity[field] = [self._mapping(item) for item in entity[field]]
        return entity

    def _value(self, field: str, value: Any, default: Any) -> Any:  # noqa: ANN401 - JSON
        if value is None:
            if isinstance(default, str) or self.unknowns.is_("nulls", "accepted"):
                return copy.deepcopy(default)
            raise Rejected(500, "Object reference not set to an instance of an object.")
        if type(value) is not type(default):
            raise Rejected(400, f"The value of {field} is not of its type")
        return copy.deepcopy(value)

    def _mapping(self, item: Any) -> Entity:  # noqa: ANN401 - JSON
        if not isinstance(item, dict):
            raise Rejected(400, "An attribute mapping is not an object")
        return {"id": str(uuid.uuid4()), **item, "privileges": None}

    def _reference(self, item: Any, among: dict[str, Entity]) -> str:  # noqa: ANN401 - JSON
        found = str(item.get("id")) if isinstance(item, dict) else ""
        if found == defaults.EMPTY_GUID:
            raise Rejected(400, "invalid property: reference operational with EMPTY GuID")
        if found not in among:
            raise Rejected(400, f"There is no object with the id {found}")
        return found

    def _check(self, entity: Entity, own: str | None) -> None:
        """Format and uniqueness. Raises Rejected."""
        default = own is not None and self.virtual_proxies[own]["defaultVirtualProxy"]
        if not default and (not _PREFIX.fullmatch(entity["prefix"]) or entity["prefix"] in RESERVED):
            raise Rejected(400, "The prefix is not allowed")
        if not _HEADER.fullmatch(entity["sessionCookieHeaderName"]):
            raise Rejected(400, "The session cookie header name is not allowed")
        if self.unknowns.is_("certificate-check", "yes") and entity["jwtPublicKeyCertificate"]:
            try:
                x509.load_pem_x509_certificate(entity["jwtPublicKeyCertificate"].encode())
            except ValueError:
                raise Rejected(400, "The certificate cannot be read") from None
        fields = ["prefix", "sessionCookieHeaderName"]
        if self.unknowns.is_("description-unique", "yes"):
            fields.append("description")
        for other in self.virtual_proxies.values():
            for field in fields:
                if other["id"] != own and other[field].casefold() == entity[field].casefold():
                    raise Rejected(int(self.unknowns["uniqueness-status"]), f"{field} must be unique")

    def shown(self, entity: Entity, *, condensed: bool = False) -> Entity:
        """A virtual proxy as it is answered."""
        shown = copy.deepcopy(entity)
        shown["loadBalancingServerNodes"] = [
            self.condensed_node(self.nodes[item["id"]]) for item in entity["loadBalancingServerNodes"]
        ]
        tags = self.others["tag"]
        shown["tags"] = [{"id": item["id"], "name": tags[item["id"]]["name"]} for item in entity["tags"]]
        if condensed:
            return {field: value for field, value in shown.items() if field not in defaults.CONDENSED_LACKS}
        return shown

    # --- nodes and proxies

    def add_node(self, name: str, host: str, listen_port: int, rest_port: int) -> str:
        """A server node with its proxy, linked to the default virtual proxy. Returns the proxy service's id."""
        node = defaults.node(name, host, central=not self.nodes)
        self.nodes[node["id"]] = node
        service = self._stamped({"node": node["id"], "links": [next(iter(self.virtual_proxies))]}, "ProxyService")
        service["settings"] = defaults.proxy_settings(service["id"], listen_port, rest_port)
        self.proxies[service["id"]] = service
        return str(service["id"])

    @staticmethod
    def condensed_node(node: Entity) -> Entity:
        """A server node as lists show it."""
        return {field: value for field, value in node.items() if field != "isCentral"}

    def host_of(self, service_id: str) -> str:
        """The host name of a proxy's node."""
        return str(self.nodes[self.proxies[service_id]["node"]]["hostName"])

    def linked_to(self, virtual_proxy_id: str) -> list[str]:
        """The proxy services that a virtual proxy is linked to."""
        return [service["id"] for service in self.proxies.values() if virtual_proxy_id in service["links"]]

    def shown_proxy(self, service: Entity) -> Entity:
        """A proxy service as it is answered, whole."""
        node = self.nodes[service["node"]]
        linked = [self.shown(self.virtual_proxies[link], condensed=True) for link in service["links"]]
        flags = {"nodePurpose": 0, "engineEnabled": True, "proxyEnabled": True, "schedulerEnabled": True}
        return {
            "id": service["id"],
            "createdDate": service["createdDate"],
            "modifiedDate": service["modifiedDate"],
            "modifiedByUserName": service["modifiedByUserName"],
            "customProperties": [],
            "tags": [],
            "serverNodeConfiguration": {**copy.deepcopy(node), **flags},
            "settings": {**service["settings"], "virtualProxies": linked, "schemaPath": "ProxyService.Settings"},
            "privileges": None,
            "schemaPath": "ProxyService",
        }

    def replace_proxy(self, service_id: str, body: Entity, by: str) -> Entity:
        """PUT a whole proxy service: its links are those of the body. Raises Rejected."""
        service = self.proxies[service_id]
        self._check_date(service, body, service_id)
        settings = body.get("settings")
        if not isinstance(settings, dict) or not isinstance(settings.get("virtualProxies"), list):
            raise Rejected(400, "The proxy service is not complete")
        missing = set(service["settings"]) - set(settings)
        if missing or "serverNodeConfiguration" not in body:
            raise Rejected(400, "The proxy service is not complete")
        links = [self._reference(item, self.virtual_proxies) for item in settings["virtualProxies"]]
        return self._relinked(service, list(dict.fromkeys(links)), by)

    def add_links(self, service_id: str, added: list[str], removed: list[str], date: object, by: str) -> None:
        """The QMC's bulk edit: names only what is added and removed. Raises Rejected."""
        service = self.proxies[service_id]
        stale = not isinstance(date, str) or date < service["modifiedDate"]
        if stale and self.unknowns.is_("bulk-edit-date", "409"):
            raise Rejected(409)
        for item in added:
            self._reference({"id": item}, self.virtual_proxies)
        kept = [link for link in service["links"] if link not in removed]
        self._relinked(service, list(dict.fromkeys([*kept, *added])), by)

    def _relinked(self, service: Entity, links: list[str], by: str) -> Entity:
        if links == service["links"] and self.unknowns.is_("idle-put", "ignored"):
            return service
        service.update(links=links, modifiedDate=self.clock.stamp(), modifiedByUserName=by)
        self.changed(service["id"])
        return service

    # --- users, tags, rules: data

    def user(self, directory: str, identity: str) -> Entity:
        """A user, made at the first login."""
        for known in self.others["user"].values():
            if (known["userDirectory"].casefold(), known["userId"].casefold()) == (
                directory.casefold(),
                identity.casefold(),
            ):
                return known
        made = {**copy.deepcopy(defaults.USER), "userDirectory": directory, "userId": identity, "name": identity}
        return self.add("user", {**made, "userDirectoryConnectorName": directory}, defaults.SERVICE_USER)

    def add(self, kind: str, body: Entity, by: str) -> Entity:
        """POST an entity of another kind."""
        base = {"user": defaults.USER, "systemrule": defaults.RULE}.get(kind, {"name": ""})
        schema = {"user": "User", "systemrule": "SystemRule", "tag": "Tag"}.get(kind, "CustomPropertyDefinition")
        entity = self._stamped({**copy.deepcopy(base), **body}, schema, by)
        self.others[kind][entity["id"]] = entity
        return entity

    def forget(self, kind: str, entity_id: str) -> None:
        """DELETE an entity of another kind; a tag goes from what it is on."""
        del self.others[kind][entity_id]
        for entity in self.virtual_proxies.values():
            entity["tags"] = [item for item in entity["tags"] if item["id"] != entity_id]

    def change(self, kind: str, entity_id: str, body: Entity, by: str) -> Entity:
        """PUT an entity of another kind. Raises Rejected."""
        stored = self.others[kind][entity_id]
        self._check_date(stored, body, entity_id)
        stored.update({**body, "modifiedDate": self.clock.stamp(), "modifiedByUserName": by})
        return stored
