"""The Qlik Repository Service: the same for its own port and for callers that come through a proxy."""

import copy
import json
import string
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import web

from rotator.sandbox import answers
from rotator.sandbox.filters import BadFilter, compiled
from rotator.sandbox.repository import Entity, Rejected, Repository
from rotator.sandbox.rights import CREATE, DELETE, READ, UPDATE, Caller, Rights


XRF_TEXT: Final = "XSRF prevention check failed. Possible XSRF discovered."
_LETTERS: Final = frozenset(string.ascii_letters + string.digits)
_XRF_LENGTH: Final = 16
_KINDS: Final = {
    "virtualproxyconfig": "VirtualProxyConfig",
    "proxyservice": "ProxyService",
    "servernodeconfiguration": "ServerNodeConfiguration",
    "user": "User",
    "tag": "Tag",
    "systemrule": "SystemRule",
    "custompropertydefinition": "CustomPropertyDefinition",
}
Verb = Callable[[web.BaseRequest, Caller, str, str], Awaitable[web.StreamResponse]]


def xrf_holds(request: web.BaseRequest) -> bool:
    """The same 16 letters and digits in the query, under any case of its name, and in the header."""
    query = {name.lower(): value for name, value in request.query.items()}.get("xrfkey", "")
    sent = request.headers.get("X-Qlik-Xrfkey", "")
    return len(query) == _XRF_LENGTH and set(query) <= _LETTERS and query == sent


class Qrs:
    """Answers requests whose path begins with /qrs."""

    def __init__(self, repository: Repository, rights: Rights) -> None:
        self._repository = repository
        self._rights = rights

    async def answer(self, request: web.BaseRequest, caller: Caller, path: str) -> web.StreamResponse:
        """The answer to a caller that is known."""
        if not xrf_holds(request):
            return answers.text(XRF_TEXT, 403)
        try:
            return await self._routed(request, caller, path.strip("/").split("/")[1:])
        except Rejected as rejected:
            return answers.text(rejected.text, rejected.status)
        except BadFilter as bad:
            return answers.text(str(bad), 400)

    async def _routed(self, request: web.BaseRequest, caller: Caller, path: list[str]) -> web.StreamResponse:
        match path:
            case ["about"]:
                return answers.as_json(self._about())
            case ["about", "api", "default"]:
                return answers.as_json({"virtualproxyconfig": self._repository.fields})
            case ["about", "api", "default", kind] if kind.lower() == "virtualproxyconfig":
                return answers.as_json(self._repository.fields)
            case ["selection", *rest]:
                return await self._selection(request, caller, rest)
            case [kind, *rest] if kind.lower() in _KINDS:
                return await self._collection(request, caller, kind.lower(), rest)
        return answers.text("", 404)

    def _about(self) -> Entity:
        return {
            "buildVersion": self._repository.release.build,
            "buildDate": "11/4/2025 09:12:31 AM",
            "databaseProvider": "Devart.Data.PostgreSql",
            "nodeType": 1,
            "sharedPersistence": True,
            "requiresBootstrap": False,
            "singleNodeOnly": False,
            "schemaPath": "About",
        }

    async def _collection(
        self, request: web.BaseRequest, caller: Caller, kind: str, rest: list[str]
    ) -> web.StreamResponse:
        match rest, request.method:
            case ([], "GET") | (["full"], "GET"):
                return answers.as_json(self._list(request, caller, kind, condensed=not rest))
            case ["count"], "GET":
                return answers.as_json({"value": len(self._list(request, caller, kind, condensed=False))})
            case [], "POST":
                return await self._post(request, caller, kind)
            case [entity_id], "GET":
                return answers.as_json(self._shown(request, caller, kind, self._one(caller, kind, entity_id, READ)))
            case [entity_id], "PUT":
                return await self._put(request, caller, kind, entity_id)
            case [entity_id], "DELETE":
                self._one(caller, kind, entity_id, DELETE)
                return self._delete(kind, entity_id)
        return answers.text("", 404 if request.method == "GET" else 405)

    def _entities(self, kind: str) -> dict[str, Entity]:
        repository = self._repository
        known = {
            "virtualproxyconfig": repository.virtual_proxies,
            "proxyservice": repository.proxies,
            "servernodeconfiguration": repository.nodes,
        }
        return known.get(kind) or repository.others.get(kind, {})

    def _full(self, kind: str, entity: Entity, *, condensed: bool = False) -> Entity:
        match kind:
            case "virtualproxyconfig":
                return self._repository.shown(entity, condensed=condensed)
            case "proxyservice":
                return self._repository.shown_proxy(entity)
            case "servernodeconfiguration" if condensed:
                return self._repository.condensed_node(entity)
        return copy.deepcopy(entity)

    def _shown(
        self, request: web.BaseRequest, caller: Caller, kind: str, entity: Entity, *, condensed: bool = False
    ) -> Entity:
        shown = self._rights.stripped(caller, self._full(kind, entity, condensed=condensed))
        asked = {name.lower(): value.lower() for name, value in request.query.items()}.get("privileges") == "true"
        if asked and self._repository.unknowns.is_("privileges", "yes"):
            shown["privileges"] = self._rights.privileges(caller, _KINDS[kind], str(entity["id"]))
        return shown

    def _list(self, request: web.BaseRequest, caller: Caller, kind: str, *, condensed: bool) -> list[Entity]:
        visible = self._rights.visible(caller, _KINDS[kind], list(self._entities(kind).values()))
        expression = self._filter(request)
        unknowns = self._repository.unknowns
        test = (
            compiled(expression, case=unknowns.is_("filter-case", "yes"), strict=unknowns.is_("filter-property", "400"))
            if expression
            else lambda _: True
        )
        # The filter sees the whole entity, the list may show less of it.
        found = [entity for entity in visible if test(self._full(kind, entity))]
        order = request.query.get("orderby")
        if order:
            found.sort(key=lambda entity: str(entity.get(order, "")))
        return [self._shown(request, caller, kind, entity, condensed=condensed) for entity in found]

    @staticmethod
    def _filter(request: web.BaseRequest) -> str:
        """The filter of the query. An `&` in it that was not encoded leaves a parameter without a value."""
        if any(value == "" for name, value in request.query.items() if name != "orderby"):
            raise Rejected(400, "Missing parameter value(s)")
        return {name.lower(): value for name, value in request.query.items()}.get("filter", "")

    def _one(self, caller: Caller, kind: str, entity_id: str, action: int) -> Entity:
        entity = self._entities(kind).get(entity_id)
        if entity is None:
            raise Rejected(404)
        if not self._rights.may(caller, action, _KINDS[kind], entity_id):
            raise Rejected(int(self._repository.unknowns["forbidden-id"]), "Forbidden")
        return entity

    async def _body(self, request: web.BaseRequest) -> Any:  # noqa: ANN401 - JSON
        try:
            return json.loads(await request.read())
        except ValueError:
            raise Rejected(400, "The body is not valid JSON") from None

    async def _object(self, request: web.BaseRequest) -> Entity:
        body = await self._body(request)
        if not isinstance(body, dict):
            raise Rejected(400, "The body is not an object")
        return body

    async def _post(self, request: web.BaseRequest, caller: Caller, kind: str) -> web.StreamResponse:
        if kind in ("proxyservice", "servernodeconfiguration"):
            return answers.text("", 405)
        if not self._rights.may(caller, CREATE, _KINDS[kind]):
            raise Rejected(403, "Forbidden")
        body = await self._object(request)
        if kind == "virtualproxyconfig":
            entity = self._repository.create(body, str(caller))
        else:
            entity = self._repository.add(kind, body, str(caller))
        return answers.as_json(self._shown(request, caller, kind, entity), 201)

    async def _put(self, request: web.BaseRequest, caller: Caller, kind: str, entity_id: str) -> web.StreamResponse:
        self._one(caller, kind, entity_id, UPDATE)
        body = await self._object(request)
        match kind:
            case "virtualproxyconfig":
                entity = self._repository.replace(entity_id, body, str(caller))
            case "proxyservice":
                entity = self._repository.replace_proxy(entity_id, body, str(caller))
            case "servernodeconfiguration":
                return answers.text("", 405)
            case _:
                entity = self._repository.change(kind, entity_id, body, str(caller))
        return answers.as_json(self._shown(request, caller, kind, entity))

    def _delete(self, kind: str, entity_id: str) -> web.StreamResponse:
        if kind == "virtualproxyconfig":
            self._repository.delete(entity_id)
        elif kind in self._repository.others:
            self._repository.forget(kind, entity_id)
        else:
            return answers.text("", 405)
        return answers.empty()

    async def _selection(self, request: web.BaseRequest, caller: Caller, rest: list[str]) -> web.StreamResponse:
        """The QMC's bulk edit of proxy services."""
        selections = self._repository.selections
        if not rest and request.method == "POST":
            items = (await self._object(request)).get("items")
            if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
                raise Rejected(400, "A selection needs items")
            selection = str(uuid.uuid4())
            selections[selection] = [str(item.get("objectID")) for item in items]
            return answers.as_json({"id": selection, "items": items}, 201)
        if not rest or rest[0] not in selections:
            raise Rejected(404)
        if rest[1:] == [] and request.method == "DELETE":
            del selections[rest[0]]
            return answers.empty()
        if rest[1:] == ["ProxyService", "synthetic"] and request.method == "PUT":
            body = await self._object(request)
            added, removed = _links(body)
            for service_id in selections[rest[0]]:
                self._one(caller, "proxyservice", service_id, UPDATE)
                self._repository.add_links(service_id, added, removed, body.get("latestModifiedDate"), str(caller))
            return answers.empty()
        raise Rejected(405)


def _links(body: Entity) -> tuple[list[str], list[str]]:
    try:
        properties = next(child for child in body["children"] if child["name"] == "settings")["properties"]
        change = next(item for item in properties if item["name"] == "refList_VirtualProxyConfig")["value"]
        return [str(item) for item in change["added"]], [str(item) for item in change["removed"]]
    except (KeyError, TypeError, StopIteration):
        raise Rejected(400, "The synthetic entity is not complete") from None
