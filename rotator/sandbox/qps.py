"""The proxy service's own REST port: its sessions, for callers with a client certificate."""

from urllib.parse import unquote

from aiohttp import web

from rotator.sandbox import answers
from rotator.sandbox.qrs import XRF_TEXT, xrf_holds
from rotator.sandbox.sessions import Session, Sessions
from rotator.sandbox.unknowns import Unknowns


class Qps:
    """The port of one node."""

    def __init__(self, host: str, sessions: Sessions, unknowns: Unknowns) -> None:
        self._host = host
        self._sessions = sessions
        self._unknowns = unknowns

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """`/qps/<prefix>/session[/ID]` and `/qps/<prefix>/user/DIRECTORY/ID`; the default virtual proxy has no prefix."""
        if not xrf_holds(request):
            return answers.text(XRF_TEXT, 403)
        parts = [unquote(part) for part in request.path.strip("/").split("/")[1:]]
        if parts and parts[0] not in ("session", "user"):
            prefix, *rest = parts
        else:
            prefix, rest = "", parts
        match rest, request.method:
            case ["session"], "GET":
                return answers.as_json([_shown(item) for item in self._of(prefix)])
            case ["session", session_id], "GET" | "DELETE":
                return self._session(prefix, session_id, delete=request.method == "DELETE")
            case ["user", directory, user], "GET" | "DELETE":
                found = [item for item in self._of(prefix) if item.of(directory, user)]
                for item in found if request.method == "DELETE" else ():
                    self._sessions.end(item.id)
                return answers.as_json([_shown(item) for item in found])
        return answers.text("", 404)

    def _of(self, prefix: str) -> list[Session]:
        everywhere = self._unknowns.is_("qps-sessions", "site")
        return [
            item for item in self._sessions if item.virtual_proxy == prefix and (everywhere or item.host == self._host)
        ]

    def _session(self, prefix: str, session_id: str, *, delete: bool) -> web.StreamResponse:
        found = next((item for item in self._of(prefix) if item.id == session_id), None)
        if found is None:
            return answers.text("", 404)
        if delete:
            self._sessions.end(session_id)
        return answers.as_json(_shown(found))


def _shown(session: Session) -> dict[str, object]:
    return {
        "UserDirectory": session.directory,
        "UserId": session.user,
        "Attributes": [{name: value} for name, value in session.attributes],
        "SessionId": session.id,
    }
