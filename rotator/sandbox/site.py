"""The whole site put together, from its start to its end."""

import asyncio
import json
import signal
import ssl
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from aiohttp import web
from filelock import FileLock, Timeout

from rotator.sandbox import answers, configuration
from rotator.sandbox.certificates import Authority, Pair, write_client, write_private
from rotator.sandbox.clock import Clock
from rotator.sandbox.control import Control
from rotator.sandbox.faults import Fault, Faults
from rotator.sandbox.listener import PEER, Handler, Listener, Log
from rotator.sandbox.proxy import Proxy
from rotator.sandbox.qps import Qps
from rotator.sandbox.qrs import Qrs
from rotator.sandbox.releases import Release
from rotator.sandbox.repository import Repository
from rotator.sandbox.restarts import Restarts
from rotator.sandbox.rights import Caller, Rights
from rotator.sandbox.sessions import Sessions
from rotator.sandbox.unknowns import Unknowns


LOCAL = "localhost"
LAST_PORT = 65535


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line asks for. Ports 0 are free ones; `delay` is shortest and longest, in seconds."""

    folder: Path
    release: Release
    qrs_port: int = 4242
    qps_port: int = 4243
    proxy_ports: tuple[int, ...] = (443,)
    nodes: int = 1
    delay: tuple[float, float] = (0.2, 1.5)
    seed: int | None = None
    faults: tuple[str, ...] = ()
    unknowns: tuple[str, ...] = ()
    root_identified: bool = True
    client_days: int = 365
    names: tuple[str, ...] = field(default=())


class SandboxSite:
    """Everything that runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.clock = Clock()
        self.unknowns = Unknowns(*settings.unknowns)
        self.faults = Faults(*settings.faults)
        self.log = Log()
        self.sessions = Sessions(self.unknowns, self.clock)
        self.repository = Repository(settings.release, self.unknowns, self.clock)
        self.restarts = Restarts(*settings.delay, settings.seed, faults=self.faults, unknowns=self.unknowns)
        self._rights = Rights(self.repository)
        self._qrs = Qrs(self.repository, self._rights)
        self._listeners: list[Listener] = []
        self._held: FileLock | None = None
        self._refusing: set[asyncio.Task[None]] = set()

    async def open(self) -> dict[str, object]:
        """Listen everywhere, write the folder. Returns what the ready line says."""
        settings, folder = self._settings, self._settings.folder
        _check_ports(settings)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (folder / "client.pem").exists() and not (folder / "control.json").exists():
            raise ValueError(f"{folder} holds a client.pem that is not a sandbox's: name another folder")
        folder.chmod(0o700)
        self._hold(folder)
        authority = Authority("Qlik Sense Site Root", identified=settings.root_identified)
        stranger = Authority("Another Site Root")
        write_client(folder, authority.pair, authority.client(settings.client_days))
        other = stranger.client(settings.client_days)
        write_private(folder / "stranger.pem", other.certificate_pem)
        write_private(folder / "stranger_key.pem", other.key_pem)
        hosts = [LOCAL, *(f"rim{number}.localhost" for number in range(1, settings.nodes))]
        server = authority.server(LOCAL, *hosts[1:], "127.0.0.1", *settings.names)
        public = _context(folder, server, ())
        roots = [authority.pair, *([stranger.pair] if self.unknowns.is_("untrusted-certificate", "403") else [])]
        private = _context(folder, server, roots)
        issuer = _names(authority.pair)
        qrs = await self._listen(
            "qrs", LOCAL, private, self._behind_certificate(issuer, self._direct), settings.qrs_port
        )
        proxies: dict[str, tuple[Proxy, Listener]] = {}
        shown = []
        ports = _ports(settings.proxy_ports, settings.nodes)
        for index, (host, port) in enumerate(zip(hosts, ports, strict=True)):
            qps = Qps(host, self.sessions, self.unknowns)
            rest = await self._listen(
                "qps", host, private, self._behind_certificate(issuer, qps.answer), 0 if index else settings.qps_port
            )
            service_id = self.repository.add_node("Central" if not index else host, host, port, rest.port)
            proxy = Proxy(service_id, self.repository, self.sessions, self._qrs)
            listener = await self._listen("proxy", host, public, proxy.answer, port)
            self.repository.proxies[service_id]["settings"]["listenPort"] = listener.port
            proxies[service_id] = (proxy, listener)
            shown.append({"host": host, "url": f"https://{LOCAL}:{listener.port}"})
            proxy.central = next(iter(proxies.values()))[0] if index else None
            proxy.apply()
        self.restarts.attach(proxies)
        self.repository.changed = self.restarts.restart
        rims = [(host, int(proxies[key][1].port)) for key, host in zip(list(proxies)[1:], hosts[1:], strict=True)]
        url = f"https://{LOCAL}:{qrs.port}"
        config = configuration.write(folder, url, rims)
        qps_url = f"https://{LOCAL}:{self._listeners[1].port}"
        return {"qrs": url, "qps": qps_url, "proxies": shown, "dir": str(folder), "config": str(config)}

    def _hold(self, folder: Path) -> None:
        """The folder for this process alone, before anything of another one is overwritten. Raises ValueError."""
        held = FileLock(folder / "sandbox.lock", timeout=0)
        try:
            held.acquire()
        except Timeout:
            raise ValueError(f"a sandbox runs in {folder} already: end it, or name another folder") from None
        self._held = held

    async def _listen(self, service: str, host: str, context: ssl.SSLContext, handler: Handler, port: int) -> Listener:
        listener = Listener(service, host, context, handler, faults=self.faults, clock=self.clock, log=self.log)
        await listener.open(port)
        self._listeners.append(listener)
        return listener

    def _behind_certificate(self, issuer: str, handler: Handler) -> Handler:
        """403 without a client certificate, with another site's, and without X-Qlik-User."""

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            shown = request.get(PEER)
            if not shown or _issuer(shown) != issuer or _caller(request) is None:
                return answers.text("Forbidden", 403)
            return await handler(request)

        return answer

    async def _direct(self, request: web.BaseRequest) -> web.StreamResponse:
        caller = _caller(request)
        if caller is None or not request.path.startswith("/qrs/"):
            return answers.text("", 404)
        return await self._qrs.answer(request, caller, request.path)

    def begin_refusing(self) -> None:
        """Close the ports that standing faults refuse, each for as long as its fault says."""
        for fault in [item for item in self.faults.all if item.kind == "refuse"]:
            self.faults.all.remove(fault)
            task = asyncio.ensure_future(self._refused(fault))
            self._refusing.add(task)
            task.add_done_callback(self._refusing.discard)

    async def idle(self) -> None:
        """Wait until no proxy is restarting, and every port is open."""
        if self._refusing:
            await asyncio.wait(tuple(self._refusing))
        await self.restarts.idle()

    async def _refused(self, fault: Fault) -> None:
        closed = [item for item in self._listeners if fault.service in ("*", item.service, item.host)]
        for listener in closed:
            await listener.close(cut=True)
        await asyncio.sleep(float(fault.arg))
        for listener in closed:
            await listener.open()

    async def close(self) -> None:
        """End every connection."""
        for task in self._refusing:
            task.cancel()
        for listener in self._listeners:
            await listener.close(cut=True)
        if self._held is not None:
            self._held.release()


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; print the ready line once everything listens."""
    site = SandboxSite(settings)
    ready = await site.open()
    control = await Control(site).open(settings.folder)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        _on_signal(number, stop)
    print(json.dumps(ready), flush=True)  # noqa: T201 - the ready line
    site.begin_refusing()
    await stop.wait()
    await control.cleanup()
    await site.close()


def _on_signal(number: int, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    if sys.platform == "win32":
        # Its event loops have no handlers of their own: Python's wakes them.
        signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
    else:
        loop.add_signal_handler(number, stop.set)


def _check_ports(settings: Settings) -> None:
    """Raise ValueError where a port cannot be one."""
    for port in (settings.qrs_port, settings.qps_port, *settings.proxy_ports):
        if not 0 <= port <= LAST_PORT:
            raise ValueError(f"{port} is no port: 0 to {LAST_PORT}")


def _ports(given: tuple[int, ...], nodes: int) -> list[int]:
    """A port per node; beyond those given the following numbers, after 0 free ones."""
    ports = list(given[:nodes])
    while len(ports) < nodes:
        ports.append(ports[-1] + 1 if ports[-1] else 0)
    return ports


def _context(folder: Path, server: Pair, roots: "tuple[()] | list[Pair]") -> ssl.SSLContext:
    """A server's TLS; with roots it asks for a client certificate, and aborts for one that is of none of them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    write_private(folder / "server.pem", server.certificate_pem)
    write_private(folder / "server_key.pem", server.key_pem)
    context.load_cert_chain(folder / "server.pem", folder / "server_key.pem")
    for root in roots:
        context.load_verify_locations(cadata=root.certificate_pem.decode("ascii"))
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def _names(root: Pair) -> str:
    return root.certificate.subject.rfc4514_string()


def _issuer(shown: dict[str, object]) -> str:
    names = shown.get("issuer")
    pairs = [pair for name in (names if isinstance(names, tuple) else ()) for pair in name]
    return ",".join(f"CN={value}" for key, value in pairs if key == "commonName")


def _caller(request: web.BaseRequest) -> Caller | None:
    """`UserDirectory=DIR; UserId=ID`, both URL-encoded, names in any case, the blank may be missing."""
    parts = {
        name.strip().lower(): unquote(value.strip())
        for name, _, value in (part.partition("=") for part in request.headers.get("X-Qlik-User", "").split(";"))
    }
    directory, user = parts.get("userdirectory"), parts.get("userid")
    return Caller(directory, user) if directory and user else None
