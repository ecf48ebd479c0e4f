"""A TLS port that can be closed and opened again, with the faults that strike its requests."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable

from aiohttp import web

from rotator.sandbox import answers
from rotator.sandbox.clock import Clock
from rotator.sandbox.faults import Fault, Faults


FINISH_LIMIT = 5.0
"""Seconds that an open request is given where it is let finish."""
PEER = "client certificate"
"""Where a request keeps the client certificate that came with its connection."""
Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Log:
    """What was asked: method, path, service, host and status. Never a header, never a query.

    `held` counts the requests that the fault `slow` is holding back.
    """

    def __init__(self) -> None:
        self.entries: list[dict[str, object]] = []
        self.held = 0

    def note(self, service: str, host: str, request: web.BaseRequest, status: int | str) -> None:
        """One request with how it ended: a status, or `cut`."""
        self.entries.append(
            {"service": service, "host": host, "method": request.method, "path": request.path, "status": status}
        )


class Listener:
    """One port on loopback. Connections are refused while it is closed."""

    def __init__(
        self,
        service: str,
        host: str,
        context: ssl.SSLContext,
        handler: Handler,
        *,
        faults: Faults,
        clock: Clock,
        log: Log,
    ) -> None:
        self.service = service
        self.host = host
        self.port = 0
        self._context = context
        self._handler = handler
        self._faults = faults
        self._clock = clock
        self._log = log
        self._cold = True
        self._web: web.Server | None = None
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[object]] = set()
        self._open: set[asyncio.Task[object]] = set()

    async def open(self, port: int | None = None) -> None:
        """Listen; on port 0 on a free one, which it keeps."""
        self._web = web.Server(self._answer, access_log=None)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._web, "127.0.0.1", self.port if port is None else port, ssl=self._context, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]
        self._cold = True

    async def close(self, *, cut: bool) -> None:
        """Stop listening and end every connection; requests that are open are cut, or let finish first."""
        if self._server is None or self._web is None:
            return
        self._server.close()
        if not cut and self._open:
            await asyncio.wait(self._open, timeout=FINISH_LIMIT)
        # Web.shutdown() would wait for connections that are merely kept alive.
        for connection in self._web.connections:
            if connection.transport is not None:
                connection.transport.abort()
        self._server = self._web = None

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in one
        self._open.add(task)
        try:
            return await self._answered(request)
        finally:
            self._open.discard(task)

    async def _answered(self, request: web.BaseRequest) -> web.StreamResponse:
        # Taken now: a request that is applied late has lost its connection, and the certificate with it.
        request[PEER] = request.transport.get_extra_info("peercert") if request.transport else None
        cold = self._faults.standing("cold")
        if self._cold and self.service == "proxy" and isinstance(cold, float):
            self._cold = False
            await asyncio.sleep(cold)
        fault = self._faults.striking(self.service, self.host, request.method, request.path)
        try:
            response = await (self._struck(fault, request) if fault else self._handler(request))
        except _Cut:
            self._log.note(self.service, self.host, request, "cut")
            if request.transport is not None:
                request.transport.abort()
            return answers.empty(500)
        except Exception as error:  # noqa: BLE001 - a stand-in never shows a traceback for bad input
            response = answers.text(f"Internal error: {type(error).__name__}", 500)
        if not response.prepared:
            response.headers["Date"] = self._clock.http_date()
        self._log.note(self.service, self.host, request, response.status)
        return response

    async def _struck(self, fault: Fault, request: web.BaseRequest) -> web.StreamResponse:
        match fault.kind:
            case "reset":
                raise _Cut
            case "lost":
                await self._handler(request)
                raise _Cut
            case "late":
                await request.read()
                task = asyncio.ensure_future(self._later(float(fault.arg), request))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                raise _Cut
            case "status":
                return answers.text("", int(float(fault.arg)))
            case "slow":
                self._log.held += 1
                await asyncio.sleep(float(fault.arg))
                self._log.held -= 1
                return await self._handler(request)
            case "html":
                await self._handler(request)
                return answers.page("Please log in", 200)
            case "truncate":
                return await self._truncated(request)
            case "oversize":
                return web.Response(
                    body=b"[" + b" " * int(float(fault.arg) * 1024 * 1024), content_type="application/json"
                )
            case "redirect":
                response = answers.empty(302)
                response.headers["Location"] = fault.arg
                return response
        return answers.text("", 409)

    async def _later(self, seconds: float, request: web.BaseRequest) -> None:
        await asyncio.sleep(seconds)
        await self._handler(request)

    async def _truncated(self, request: web.BaseRequest) -> web.StreamResponse:
        """A Content-Length that the body does not keep."""
        whole = await self._handler(request)
        body = whole.body if isinstance(whole, web.Response) and isinstance(whole.body, bytes) else b"{}"
        half = web.StreamResponse(status=whole.status, headers={"Content-Type": whole.content_type})
        half.content_length = len(body)
        await half.prepare(request)
        await half.write(body[: len(body) // 2])
        self._log.note(self.service, self.host, request, "cut")
        if request.transport is not None:
            request.transport.close()
        return half


class _Cut(Exception):
    """The connection ends here."""
