"""A way for tests, demo and benchmarks to look into a running sandbox: plain HTTP on loopback, under a token."""

import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from rotator.sandbox.certificates import write_private


if TYPE_CHECKING:
    from rotator.sandbox.site import SandboxSite


class Control:
    """What can be asked and changed while it runs; port and token stand in `control.json` of the sandbox's folder.

    `GET|DELETE /requests`, `POST|DELETE /faults`, `POST /unknowns`, `POST /clock`, `POST /delay`,
    `GET|DELETE /sessions`, `GET /idle`, `GET /held`, `GET /cut`.
    """

    def __init__(self, site: "SandboxSite") -> None:
        self._site = site
        self._token = secrets.token_urlsafe(24)

    async def open(self, folder: Path) -> web.ServerRunner:
        """Listen on a free port, and write where."""
        runner = web.ServerRunner(web.Server(self._answer, access_log=None))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        write_private(folder / "control.json", json.dumps({"port": port, "token": self._token}).encode())
        return runner

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if not secrets.compare_digest(request.headers.get("Authorization", ""), f"Bearer {self._token}"):
            return web.Response(status=401)
        try:
            body = json.loads(await request.read() or b"null")
            return web.json_response(await self._done(request.method, request.path, body))
        except (ValueError, KeyError, TypeError) as error:
            return web.Response(status=400, text=str(error))

    async def _done(self, method: str, path: str, body: Any) -> Any:  # noqa: ANN401 - JSON
        site = self._site
        match method, path:
            case "GET", "/requests":
                return site.log.entries
            case "DELETE", "/requests":
                site.log.entries.clear()
            case "POST", "/faults":
                if site.faults.add(str(body)).kind == "refuse":
                    site.begin_refusing()
            case "DELETE", "/faults":
                site.faults.all.clear()
            case "POST", "/unknowns":
                site.unknowns.choose(str(body))
            case "POST", "/clock":
                site.clock.offset = float(body)
            case "POST", "/delay":
                site.restarts.shortest, site.restarts.longest = float(body[0]), float(body[1])
            case "GET", "/sessions":
                return [
                    {"user": f"{item.directory}\\{item.user}", "host": item.host, "virtual_proxy": item.virtual_proxy}
                    for item in site.sessions
                ]
            case "DELETE", "/sessions":
                for item in site.sessions:
                    site.sessions.end(item.id)
            case "GET", "/idle":
                await site.idle()
            case "GET", "/held":
                return site.log.held
            case "GET", "/cut":
                return site.restarts.cut
            case _:
                raise ValueError(f"there is no {method} {path}")
        return None
