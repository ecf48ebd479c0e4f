"""The daemon with a clock, a keyring and children that are made up; its main loop and APScheduler are the real ones."""

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
from apscheduler.schedulers.base import BaseScheduler  # type: ignore[import-untyped]
from values import key, ring

from rotator.daemon.events import Alarm, Ended, Event, SchedulerFailed
from rotator.daemon.lines import Lines
from rotator.daemon.loop import Daemon, Loaded
from rotator.daemon.schedule import Schedule
from rotator.daemon.service_manager import ServiceManager
from rotator.model import Config, KeyringBackend, KeyringSettings, Notify, Outcome, ProxySpec, Result, Ring
from rotator.planning import stages
from rotator.planning.due import due, next_retry
from rotator.planning.windows import closes
from rotator.report.document import document, rendered


class Stepped(BaseScheduler):  # type: ignore[misc]
    """APScheduler without a thread: `woken` says that it would look at its jobs now."""

    woken = False

    def wakeup(self) -> None:
        self.woken = True

    def shutdown(self, wait: bool = True) -> None:
        super().shutdown(wait)


@dataclass(eq=False)
class Process:
    """A child that is made up."""

    pid: int
    arguments: tuple[str, ...]
    end: Callable[["Process"], None]
    asked: int = 0
    killed: bool = False
    ended: bool = False

    def terminate(self) -> None:
        self.asked += 1

    def kill(self) -> None:
        self.killed = True
        self.end(self)


@dataclass(frozen=True)
class Start:
    """A rotation that was started: when by the wall clock and by the steady one, and what was the matter with it."""

    name: str
    wall: datetime
    steady: float
    problem: str = ""


class Told(Lines):
    """The lines that were written."""

    def __init__(self) -> None:
        super().__init__({})
        self.all: list[str] = []

    def _write(self, priority: int, line: str) -> None:
        self.all.append(f"<{priority}>{line}")


class Heard(ServiceManager):
    """What systemd would have been told, with the steady time."""

    def __init__(self, steady: Callable[[], float], *, watched: bool) -> None:
        super().__init__({"WATCHDOG_USEC": str(120_000_000)} if watched else {})
        self.all: list[tuple[float, str]] = []
        self._steady = steady

    def _send(self, message: str) -> None:
        self.all.append((self._steady(), message))


Work = Callable[["Simulation", ProxySpec], tuple[float, Callable[[], int]]]
"""What a rotation does: how many seconds it takes, and what it does at its end, giving the exit status."""


def succeeds(simulation: "Simulation", spec: ProxySpec) -> tuple[float, Callable[[], int]]:
    def end() -> int:
        kept = simulation.rings[spec.name]
        made = key(created=simulation.now(), not_after=simulation.now() + timedelta(days=1825))
        simulation.rings[spec.name] = replace(ring(made), generation=kept.generation + 1)
        return 0

    return 45.0, end


def fails(simulation: "Simulation", spec: ProxySpec) -> tuple[float, Callable[[], int]]:
    """As `rotate` does: the failure is noted in the ring, and put off."""

    def end() -> int:
        kept = simulation.rings[spec.name]
        simulation.rings[spec.name] = stages.put_off(kept, next_retry(spec, kept, simulation.now()))
        return 1

    return 30.0, end


def ends_with(status: int) -> Work:
    """It changes nothing, and ends so."""
    return lambda *_: (5.0, lambda: status)


def hangs(*_: object) -> tuple[float, Callable[[], int]]:
    return float("inf"), lambda: 0


@dataclass
class Simulation:
    """Time goes from one thing that happens to the next. `work` is what rotations do, by name."""

    specs: tuple[ProxySpec, ...]
    began: datetime
    rings: dict[str, Ring] = field(default_factory=dict)
    work: Mapping[str, Work] = field(default_factory=dict)
    keyring: Callable[["Simulation"], tuple[int, bytes, bytes] | None] | None = None
    """In place of the answer of `rotator due`; None: it never ends."""
    channels: Notify = field(default_factory=Notify)
    telling: Callable[[int], tuple[float, int]] = lambda _: (1.0, 0)
    """What the n-th `rotator notify` does: how many seconds it takes, and its exit status."""
    full: frozenset[str] = frozenset()
    """Commands that cannot be started: the machine has no room for them."""
    beat: timedelta | None = None
    """How often the daemon beats, where that is not what is tested and weeks pass: without a watchdog then."""
    steady: float = 1000.0
    starts: list[Start] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)
    notices: list[tuple[str, ...]] = field(default_factory=list)
    """The arguments of each `rotator notify`."""
    notifying: list[Process] = field(default_factory=list)
    running: list[tuple[Process, str]] = field(default_factory=list)
    _ends: list[tuple[float, int, Process, Callable[[], Event]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.wall = self.began
        self.inbox: SimpleQueue[Event] = SimpleQueue()
        self.lines = Told()
        self.manager = Heard(lambda: self.steady, watched=self.beat is None)
        self._count = 0
        self._deadline = self._quiet = float("inf")
        self.schedule = Schedule(
            lambda name: self.inbox.put(Alarm(name)), lambda said: self.inbox.put(SchedulerFailed(said)), Stepped
        )
        self.daemon = Daemon(
            loaded=Loaded(self.config(), "text"),
            load=lambda: Loaded(self.config(), "text"),
            schedule=self.schedule,
            starter=self,
            now=self.now,
            monotonic=lambda: self.steady,
            manager=self.manager,
            lines=self.lines,
        )

    def config(self) -> Config:
        keyring = KeyringSettings(KeyringBackend.SECRET_SERVICE)
        proxies = MappingProxyType({spec.name: spec for spec in self.specs})
        return Config(Path("/r.toml"), keyring, Path("/state"), MappingProxyType({}), proxies, self.channels)

    def now(self) -> datetime:
        return self.wall

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> "Simulation":
        """Let APScheduler go by this clock, and the daemon by this beat."""
        if self.beat is not None:
            monkeypatch.setattr("rotator.daemon.loop.BEAT_EVERY", self.beat)
        monkeypatch.setattr("apscheduler.schedulers.base.datetime", SimpleNamespace(now=lambda _: self.wall))
        return self

    # What the daemon starts.

    def start(self, *arguments: str, text: str, collect: bool) -> Process:
        assert text == self.daemon.loaded.text
        if arguments[0] in self.full:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        self._count += 1
        process = Process(self._count, arguments, self._killed)
        if arguments == ("due", "--json"):
            assert collect
            self.looks.append(self.steady)
            if self.keyring is None or self.keyring(self) is not None:
                self._ends_at(0.3, process, lambda: Ended(process, *self._looked()))
            return process
        if arguments[0] == "notify":
            assert collect
            assert all(other.ended for other in self.notifying), "one at a time"
            self.notices.append(arguments[1:])
            self.notifying.append(process)
            takes, status = self.telling(len(self.notices))
            if takes != float("inf"):
                self._ends_at(takes, process, lambda: Ended(process, status, b"", b"rotator: error: no\n"))
            return process
        command, name = arguments
        assert (command, collect) == ("rotate", False)
        spec = self.daemon.loaded.config.proxies[name]
        self.starts.append(Start(name, self.wall, self.steady, self._problem(spec)))
        self.running.append((process, spec.site))
        seconds, work = self.work.get(name, succeeds)(self, spec)
        if seconds != float("inf"):
            self._ends_at(seconds, process, lambda: self._ended(process, work()))
        return process

    def _problem(self, spec: ProxySpec) -> str:
        """What is wrong with a start here and now."""
        found = self.rings[spec.name]
        if spec.site in [site for _, site in self.running]:
            return "its site was busy"
        if found.intent is not None or found.delivery is not None:
            return ""
        if not due(spec, found, self.wall).due:
            return "it was not due"
        end = closes(spec.rotation.windows, self.wall)
        return "" if end and end - self.wall >= 2 * spec.rotation.settle_timeout else "outside its window"

    def _looked(self) -> tuple[int, bytes, bytes]:
        if self.keyring is not None:
            answer = self.keyring(self)
            assert answer is not None
            return answer
        rows = []
        for spec in self.daemon.loaded.config.proxies.values():
            found = due(spec, self.rings[spec.name], self.wall)
            at = f"{found.at:%Y-%m-%dT%H:%M:%SZ}" if found.at else None
            extra: dict[str, Any] = {"due": found.due, "due_at": at}
            outcome = Outcome.DUE if found.due else Outcome.UNCHANGED
            rows.append(Result(spec.site, spec.name, outcome, found.reason.value, found.message, extra=extra))
        return 0, rendered(document("due", 0, rows, [])).encode(), b""

    def _ended(self, process: Process, status: int) -> Event:
        self.running = [entry for entry in self.running if entry[0] is not process]
        return Ended(process, status, b"", b"")

    def _killed(self, process: Process) -> None:
        self._ends_at(0.0, process, lambda: self._ended(process, -9))

    def _ends_at(self, seconds: float, process: Process, event: Callable[[], Event]) -> None:
        heapq.heappush(self._ends, (self.steady + seconds, process.pid, process, event))

    # Time.

    def begin(self) -> None:
        self.daemon.begin()
        self._quiet = self.steady + self.daemon.patience.total_seconds()

    def pass_time(self, length: timedelta) -> None:
        """So long on the steady clock."""
        until = self.steady + length.total_seconds()
        while True:
            self._settle()
            following = min(self._deadline, self._ends[0][0] if self._ends else until, self._quiet, until)
            self.wall += timedelta(seconds=following - self.steady)
            self.steady = following
            if following >= until:
                return
            if following >= self._quiet:
                self._step(None)

    def jump(self, by: timedelta) -> None:
        """The wall clock alone is moved, as by a person, by NTP, or by a sleep of the machine."""
        self.wall += by

    def _settle(self) -> None:
        """Everything that happens at this moment."""
        moved = True
        while moved:
            moved = False
            scheduler: Stepped = self.schedule._scheduler
            if scheduler.woken or self.steady >= self._deadline:
                scheduler.woken = False
                wait = scheduler._process_jobs()
                self._deadline = float("inf") if wait is None else self.steady + wait
                moved = True
            while self._ends and self._ends[0][0] <= self.steady:
                _, _, process, event = heapq.heappop(self._ends)
                if not process.ended:
                    process.ended = True
                    self.inbox.put(event())
            while not self.inbox.empty():
                self._step(self.inbox.get())
                moved = True

    def _step(self, event: Event | None) -> None:
        self.daemon.step(event)
        self._quiet = self.steady + self.daemon.patience.total_seconds()
