"""The proxy of one node: JWT logins, sessions, and the way through to the repository and the engine."""

import copy
import json
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from aiohttp import WSMsgType, web

from rotator.sandbox import answers
from rotator.sandbox.qrs import Qrs
from rotator.sandbox.repository import RESERVED, Entity, Repository
from rotator.sandbox.rights import Caller
from rotator.sandbox.sessions import Session, Sessions, TooMany
from rotator.sandbox.tokens import BadToken, identify


NO_HEADER: Final = "Could not authenticate the request: Expected an authentication header."
BAD_REQUEST: Final = "The http request header is incorrect"
TOO_MANY: Final = "You cannot access Qlik Sense because you have too many sessions active in parallel"
CSRF: Final = "qlik-csrf-token"
_JWT: Final = 4


class Proxy:
    """Serves the settings that it last applied, which may be older than the repository's."""

    def __init__(self, service_id: str, repository: Repository, sessions: Sessions, qrs: Qrs) -> None:
        self.service_id = service_id
        self.host = repository.host_of(service_id)
        self._repository = repository
        self._sessions = sessions
        self._qrs = qrs
        self._settings: dict[str, Entity] = {}
        self.central: Proxy | None = None

    def apply(self) -> int:
        """Take the repository's settings over. Every session ends; how many there were."""
        service = self._repository.proxies[self.service_id]
        linked = [self._repository.virtual_proxies[link] for link in service["links"]]
        self._settings = {entity["prefix"]: copy.deepcopy(entity) for entity in linked}
        return self._sessions.cut(self.host)

    def serves(self, prefix: str) -> Entity | None:
        """The virtual proxy of a prefix, as last applied; a link must have reached the central proxy too."""
        found = self._settings.get(prefix)
        waits = self._repository.unknowns.is_("central-first", "wait")
        if waits and self.central is not None and prefix not in self.central._settings:  # noqa: SLF001 - one of ours
            return None
        return found if found is None or found["loadBalancingServerNodes"] or not prefix else None

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to any request on the proxy's port."""
        prefix, path = self._split(request.path)
        virtual_proxy = self.serves(prefix)
        if virtual_proxy is None:
            return self._bad_request()
        if not self._host_allowed(request, virtual_proxy):
            return answers.text("Forbidden", 403)
        if virtual_proxy["authenticationMethod"] != _JWT:
            return self._forms()
        try:
            session, fresh = self._authenticated(request, virtual_proxy)
        except BadToken as bad:
            return self._refused(str(bad))
        except TooMany:
            return answers.page(TOO_MANY, int(self._repository.unknowns["sixth-session"]))
        if session is None:
            absent = path == "/qps/csrftoken" and not self._repository.release.csrftoken
            if absent and self._repository.unknowns.is_("csrftoken-absent", "at-once"):
                return answers.text("", 404)
            return self._refused(None)
        response = await self._served(request, virtual_proxy, session, path)
        if fresh and not response.prepared:
            response.set_cookie(
                virtual_proxy["sessionCookieHeaderName"], session.id, path="/", secure=True, httponly=True
            )
        return response

    @staticmethod
    def _split(path: str) -> tuple[str, str]:
        """The prefix, in small letters as it is kept, and the rest of the path. Words of Qlik's own are of the default one."""
        first, _, rest = path.lstrip("/").partition("/")
        return ("", path) if first.lower() in RESERVED else (first.lower(), f"/{rest}")

    def _authenticated(self, request: web.BaseRequest, virtual_proxy: Entity) -> tuple[Session | None, bool]:
        """The session of a request, and whether it is new. Raises BadToken, TooMany."""
        cookie = request.cookies.get(virtual_proxy["sessionCookieHeaderName"], "")
        session = self._sessions.get(cookie, self.host, virtual_proxy["prefix"])
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            return session, False
        absent = request.path.endswith("/qps/csrftoken") and not self._repository.release.csrftoken
        if absent and self._repository.unknowns.is_("csrftoken-absent", "at-once"):
            return session, False
        repository = self._repository
        directory, user, attributes = identify(token.strip(), virtual_proxy, repository.unknowns, repository.clock)
        known = repository.user(directory, user)
        if known["blacklisted"] or known["inactive"]:
            raise BadToken("the user is blocked")
        if session is not None and session.of(directory, user):
            return session, False
        opened = Session(
            directory=known["userDirectory"],
            user=known["userId"],
            attributes=attributes,
            host=self.host,
            virtual_proxy=virtual_proxy["prefix"],
            timeout=timedelta(minutes=virtual_proxy["sessionInactivityTimeout"]),
            last=repository.clock.now(),
        )
        return self._sessions.open(opened), True

    async def _served(
        self, request: web.BaseRequest, virtual_proxy: Entity, session: Session, path: str
    ) -> web.StreamResponse:
        match path, request.method:
            case "/qps/csrftoken", "GET":
                if not self._repository.release.csrftoken:
                    return answers.text("", 404)
                response: web.StreamResponse = answers.empty()
                response.headers[CSRF] = session.csrf
                return response
            case "/qps/user", "GET":
                return answers.as_json(self._user(session, virtual_proxy))
            case "/qps/user", "DELETE":
                self._sessions.log_out(session)
                return answers.empty()
            case ("/hub" | "/hub/", "GET"):
                return answers.page("Qlik Sense hub", 200)
            case "/app/engineData", "GET":
                return await self._engine(request, virtual_proxy, session)
        if path == "/qrs" or path.startswith("/qrs/"):
            wanted = self._repository.unknowns.is_("csrf-on-qrs", "yes")
            if wanted and request.headers.get(CSRF) != session.csrf:
                return answers.text("Forbidden", 403)
            return await self._qrs.answer(request, Caller(session.directory, session.user), path)
        return answers.text("", 404)

    def _user(self, session: Session, virtual_proxy: Entity) -> Entity:
        known = self._repository.user(session.directory, session.user)
        return {
            "userId": session.user,
            "userDirectory": session.directory,
            "userName": known["name"],
            "logoutUri": f"https://{self.host}/{virtual_proxy['prefix']}/qps/user",
        }

    async def _engine(self, request: web.BaseRequest, virtual_proxy: Entity, session: Session) -> web.StreamResponse:
        """The engine's WebSocket: a cookie, an allowed origin, and in newer releases the token in the query."""
        origin = urlsplit(request.headers.get("Origin", "")).hostname or ""
        if not self._listed(origin, virtual_proxy) or "Authorization" in request.headers:
            return answers.text("Forbidden", 403)
        if self._repository.release.websocket_token and request.query.get(CSRF) != session.csrf:
            return answers.text("Forbidden", 403)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        hello = {"jsonrpc": "2.0", "method": "OnConnected", "params": {"qSessionState": "SESSION_CREATED"}}
        await socket.send_str(json.dumps(hello))
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
        return socket

    def _host_allowed(self, request: web.BaseRequest, virtual_proxy: Entity) -> bool:
        if self._repository.unknowns.is_("host-allow-list", "origin"):
            return True
        return self._listed((request.headers.get("Host") or "").rpartition(":")[0] or request.host, virtual_proxy)

    def _listed(self, host: str, virtual_proxy: Entity) -> bool:
        """Names of nodes are always allowed."""
        nodes = {str(node["hostName"]).lower() for node in self._repository.nodes.values()}
        return host.lower() in nodes | {str(item).lower() for item in virtual_proxy["websocketCrossOriginWhiteList"]}

    def _forms(self) -> web.StreamResponse:
        if self._repository.unknowns.is_("default-login", "401"):
            return self._refused(None)
        response = answers.empty(302)
        response.headers["Location"] = f"https://{self.host}/internal_forms_authentication/"
        return response

    def _refused(self, why: str | None) -> web.StreamResponse:
        unknowns = self._repository.unknowns
        told = f"Could not authenticate the request: {why}" if unknowns.is_("refusal-text", "yes") else None
        said = NO_HEADER if why is None else told or "Could not authenticate the request: the token was not accepted."
        return answers.page(said, 401) if unknowns.is_("refusal-body", "html") else answers.text(said, 401)

    def _bad_request(self) -> web.StreamResponse:
        if self._repository.unknowns.is_("prefix-body", "text"):
            return answers.text(BAD_REQUEST, 400)
        return answers.page(BAD_REQUEST, 400)
