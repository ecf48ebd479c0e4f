"""Restarts of proxies after a change: each with a delay of its own, a time of refused connections, and its sessions cut."""

import asyncio
import random
from collections.abc import Mapping

from rotator.sandbox.faults import Faults
from rotator.sandbox.listener import Listener
from rotator.sandbox.proxy import Proxy
from rotator.sandbox.unknowns import Unknowns


class Restarts:
    """Delays are drawn from `shortest` to `longest` seconds; with 0 a change is applied before its answer is sent."""

    def __init__(
        self, shortest: float, longest: float, seed: int | None, *, faults: Faults, unknowns: Unknowns
    ) -> None:
        self.shortest = shortest
        self.longest = longest
        self._random = random.Random(seed)  # noqa: S311 - delays, not secrets
        self._faults = faults
        self._unknowns = unknowns
        self._running: dict[str, asyncio.Task[None]] = {}
        self._downs: dict[str, asyncio.Task[None]] = {}
        self._proxies: Mapping[str, tuple[Proxy, Listener]] = {}
        self.cut = 0

    def attach(self, proxies: Mapping[str, tuple[Proxy, Listener]]) -> None:
        """The proxies by their service's id."""
        self._proxies = proxies

    def restart(self, service_id: str) -> None:
        """A change reached the repository: this proxy restarts. One that is restarting begins anew."""
        proxy, listener = self._proxies[service_id]
        if self._faults.standing("stuck", proxy.host) is not None:
            return
        if self.longest == 0:
            self.cut += proxy.apply()
            return
        before = self._running.get(service_id)
        if before is not None:
            before.cancel()
        self._running[service_id] = asyncio.ensure_future(self._restarted(proxy, listener))

    async def idle(self) -> None:
        """Wait until no proxy is restarting."""
        while running := [task for task in (*self._running.values(), *self._downs.values()) if not task.done()]:
            await asyncio.wait(running)

    async def _restarted(self, proxy: Proxy, listener: Listener) -> None:
        """Half of the delay the old settings serve, for the other half nobody answers."""
        delay = self._random.uniform(self.shortest, self.longest)
        await asyncio.sleep(delay / 2)
        # A newer change cancels the wait, never a proxy that is down already: two would open the same port.
        down = self._downs.get(proxy.service_id)
        if down is not None and not down.done():
            await asyncio.wait([down])
        down = self._downs[proxy.service_id] = asyncio.ensure_future(self._down(proxy, listener, delay / 2))
        await asyncio.shield(down)

    async def _down(self, proxy: Proxy, listener: Listener, seconds: float) -> None:
        await listener.close(cut=self._unknowns.is_("open-request", "cut"))
        await asyncio.sleep(seconds)
        self.cut += proxy.apply()
        await listener.open()
