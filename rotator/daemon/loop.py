"""The main loop: hears of alarms, children and signals, and starts what is due."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from typing import Final, Protocol

from rotator.daemon import looks
from rotator.daemon.children import Child, Handle
from rotator.daemon.events import Alarm, Ended, Event, Reload, SchedulerFailed, Shutdown
from rotator.daemon.lines import Lines
from rotator.daemon.notices import LIMIT, Notices
from rotator.daemon.rotations import Rotations
from rotator.daemon.schedule import Schedule
from rotator.daemon.service_manager import ServiceManager
from rotator.errors import NotStarted, RotatorError
from rotator.model import Config, ProxySpec, counted
from rotator.planning.starts import next_start, pause, time_limit


BEAT: Final = "beat"
LOOK: Final = "look"
BEAT_EVERY: Final = timedelta(seconds=15)
"""How often the scheduler and the main loop prove to each other that they live; more often where systemd watches closely."""
LOOK_EVERY: Final = timedelta(minutes=10)
"""How often the keyring is asked though nothing is expected: somebody may have rotated by hand, or been killed at it."""
LOOK_LIMIT: Final = timedelta(seconds=60)
SOON: Final = timedelta(seconds=2)
"""An alarm is set no closer than this, so that a start that is not due yet by a hair does not make the loop spin."""
JUMP: Final = timedelta(seconds=10)
"""By how much the clock may go astray before everything is looked at again."""
NO_ROOM: Final = "see whether the machine has memory and room for processes: free, ulimit -u, systemctl status rotator"
RESTART: Final = "restart the daemon, and report it: this is a bug in rotator or APScheduler"
STOPPING_BEAT: Final = timedelta(seconds=5)
EXTENSION: Final = timedelta(minutes=1)
"""How much longer systemd is asked to wait, again and again, while a rotation is finished or undone."""


class Starter(Protocol):
    """Starts `rotator …` with a configuration's text."""

    def start(self, *arguments: str, text: str, collect: bool) -> Handle:
        """A process. Raises OSError."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration with the text it was made from."""

    config: Config
    text: str


@dataclass
class Daemon:
    """Everything that the main thread keeps. `step` handles one event; nothing here blocks.

    `load` reads the configuration again, and raises ConfigError; `now` is the present, UTC; `monotonic` gives seconds that
    never go back.
    """

    loaded: Loaded
    load: Callable[[], Loaded]
    schedule: Schedule
    starter: Starter
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    manager: ServiceManager
    lines: Lines
    rotations: Rotations = field(init=False)
    notices: Notices = field(init=False)
    starts: dict[str, datetime] = field(default_factory=dict)
    _look: Child | None = None
    _look_again: bool = False
    _looks_failed: int = 0
    _told: dict[str, str] = field(default_factory=dict)
    _ready: bool = False
    _stopping: bool = False
    _healthy: bool = True
    _ahead: float = 0.0

    def __post_init__(self) -> None:
        self.notices = Notices(
            lambda arguments: self._started("notify", None, LIMIT, "notify", *arguments),
            lambda: self.loaded.config.notify.wanted,
            self.monotonic,
            self.lines,
        )
        self.rotations = Rotations(self.monotonic, self.lines, self.notices.tell)

    @property
    def done(self) -> bool:
        """Whether it was stopped, and every child has ended."""
        return self._stopping and self._look is None and not self.rotations.running

    def run(self, inbox: "SimpleQueue[Event]") -> None:
        """Handle events until it is stopped."""
        self.begin()
        while not self.done:
            try:
                event: Event | None = inbox.get(timeout=self.patience.total_seconds())
            except Empty:
                event = None
            self.step(event)
        self.schedule.stop()

    def begin(self) -> None:
        """Set the first alarms, and look."""
        self._ahead = self._offset()
        self.schedule.start()
        self._restart()

    def step(self, event: Event | None) -> None:
        """Handle one event, or none: time has passed."""
        self._watch_clock()
        self._healthy = self.rotations.enforce(
            [*self.rotations.running.values(), *([self._look] if self._look else [])]
        )
        self.rotations.enforce([self.notices.running] if self.notices.running else [])  # the rest is healthy without
        match event:
            case Alarm(name=name) if name == BEAT:
                self._beat()
            case Alarm():
                self._begin_look()
            case Ended(handle=handle, status=status, out=out, err=err):
                if self._look is not None and self._look.handle is handle:
                    self._looked(looks.read(status, out, err, late=self._look.killed))
                elif self.notices.running is not None and self.notices.running.handle is handle:
                    self.notices.ended(status, err)
                else:
                    self.rotations.ended(handle, status)
                    self._begin_look()
            case Reload():
                self._reload()
            case Shutdown(signal=name):
                self._stop(name)
            case SchedulerFailed(message=message):
                self.lines.error(RotatorError(message, hint=RESTART))
            case None:
                pass
        self.notices.go_on()
        self.manager.status(self.told())

    @property
    def patience(self) -> timedelta:
        """How long the next event is waited for; and the time between two beats."""
        if self._stopping:
            return STOPPING_BEAT
        return min(BEAT_EVERY, self.manager.watchdog / 4) if self.manager.watchdog else BEAT_EVERY

    def _beat(self) -> None:
        """The scheduler's thread has come this far, and so has this one."""
        self.schedule.set(BEAT, self.now() + self.patience)
        if self._healthy:
            self.manager.feed()
        if self._stopping:
            self.manager.extend(EXTENSION)

    def _offset(self) -> float:
        return self.now().timestamp() - self.monotonic()

    def _watch_clock(self) -> None:
        """See whether the clock was put forward or back, or the machine has slept: then every alarm is set anew."""
        moved = timedelta(seconds=self._offset() - self._ahead)
        if abs(moved) <= JUMP:
            return
        self._ahead = self._offset()
        way = "forward" if moved > timedelta(0) else "back"
        self.lines.info(f"the clock went {way} by {abs(moved)}: looking again")
        self._restart()

    def _restart(self) -> None:
        self.schedule.set(BEAT, self.now())
        self._begin_look()

    def _begin_look(self) -> None:
        """Ask the keyring what is due, in a process that it may hang. One at a time; asked meanwhile, once more after it."""
        if self._stopping:
            return
        if self._look is not None:
            self._look_again = True
            return
        self._look_again = False
        self.schedule.set(LOOK, self.now() + LOOK_EVERY)
        self._look = self._started("due", None, LOOK_LIMIT, "due", "--json")
        if self._look is None:
            self._put_off_look()

    def _started(self, command: str, spec: ProxySpec | None, limit: timedelta, *arguments: str) -> Child | None:
        name, site = (spec.name, spec.site) if spec else ("", "")
        try:
            handle = self.starter.start(*arguments, text=self.loaded.text, collect=spec is None)
        except OSError as error:
            problem = NotStarted(f"rotator {command} cannot be started: {error.strerror}", hint=NO_ROOM)
            self._tell_once(command, problem)
            if command != "notify":
                self.notices.failed(command, name, problem)
            return None
        if command == "rotate":
            self.notices.worked(command, name)
        return Child(command, name, site, self.monotonic(), limit, handle)

    def _looked(self, look: looks.Look) -> None:
        self._look = None
        if self._stopping:
            return
        self.notices.looked(look)
        if look.failure is not None:
            self._tell_once("", look.failure)
        else:
            self._told.pop("", None)
        self._plan(look)
        if look.failure is not None or look.failed:
            self._put_off_look()
        else:
            self._looks_failed = 0
        if not self._ready:
            self._ready = True
            self.manager.ready()
            self.lines.info(f"the daemon runs: {self.told()}")
        if self._look_again:
            self._begin_look()

    def _put_off_look(self) -> None:
        """Look again sooner than usual, but not in a loop."""
        self._looks_failed += 1
        self.schedule.set(LOOK, self.now() + min(pause(self._looks_failed), LOOK_EVERY))

    def _plan(self, look: looks.Look) -> None:
        """Set an alarm for the next start of each virtual proxy, or make that start now."""
        now = self.now()
        specs = self.loaded.config.proxies  # read again during the look, perhaps
        for name, error in look.failed.items():
            if name in specs:
                self._tell_once(name, error)
                self._drop(name)
        for name, found in sorted(look.found.items(), key=lambda item: item[1].at or now):
            if name not in specs:
                continue
            self._told.pop(name, None)
            if not found.due:
                self.rotations.settled(name)
            start = next_start(specs[name], found, now)
            if start is None:
                self._drop(name)
                continue
            self.starts[name] = start
            start = max(start, now + self.rotations.wait(name))
            if found.due and start <= now:
                self._rotate(specs[name])
            else:
                self.starts[name] = start
                self.schedule.set(_alarm(name), max(start, now + SOON))

    def _drop(self, name: str) -> None:
        self.starts.pop(name, None)
        self.schedule.clear(_alarm(name))

    def _rotate(self, spec: ProxySpec) -> None:
        """Start it, unless its site is busy: when that run has ended, everything is looked at again."""
        if not self.rotations.free(spec):
            return
        child = self._started("rotate", spec, time_limit(spec), "rotate", spec.name)
        if child is None:
            self.rotations.pause(spec.name)
            self.schedule.set(_alarm(spec.name), self.now() + self.rotations.wait(spec.name))
            return
        self.rotations.add(child)

    def _tell_once(self, about: str, error: RotatorError) -> None:
        if self._told.get(about) != error.message:
            self._told[about] = error.message
            self.lines.error(error)

    def _reload(self) -> None:
        """Read the configuration again; one that is broken is told, and the old one stays in force."""
        if self._stopping:
            return
        self.manager.reloading()
        try:
            self.loaded = self.load()
        except RotatorError as error:
            self.lines.error(error)
            self.lines.warning("the configuration that was read before stays in force")
        else:
            names = frozenset(self.loaded.config.proxies)
            for name in [name for name in self.starts if name not in names]:
                self._drop(name)
            self.rotations.forget(names)
            self.notices.forget(names)
            self._told.clear()
            self.lines.info(
                f"the configuration was read again: {counted(len(names), 'virtual proxy', 'virtual proxies')}"
            )
        self.manager.ready()
        self._begin_look()

    def _stop(self, signal: str) -> None:
        """End what may be ended, and let what has begun finish or undo. Asked again, nothing changes."""
        if self._stopping:
            return
        self._stopping = True
        self.manager.stopping()
        for name in self.schedule.times():
            if name != BEAT:
                self.schedule.clear(name)
        self.schedule.set(BEAT, self.now())
        self.notices.stop()
        if self._look is not None:
            self._look.kill()
        for child in self.rotations.running.values():
            child.ask()
        waiting = ", ".join(self.rotations.running)
        self.lines.info(
            f"{signal}: stopping" + (f"; {waiting}: the rotation stops, or is finished or undone" if waiting else "")
        )

    def told(self) -> str:
        """How things stand, in one line."""
        running = ", ".join(self.rotations.running)
        if self._stopping:
            return f"stopping; waiting for {running}" if running else "stopping"
        starts = [(start, name) for name, start in self.starts.items() if name not in self.rotations.running]
        following = min(starts, default=None)
        parts = [f"rotating {running}"] if running else []
        if following:
            parts.append(f"next: {following[1]} {following[0]:%Y-%m-%d %H:%M} UTC")
        elif not running:
            parts.append("nothing is planned")
        if self._told:
            parts.append(f"{counted(len(self._told), 'error')}, told above")
        return "; ".join(parts)


def _alarm(name: str) -> str:
    """The alarm of a virtual proxy, apart from those that are not of one."""
    return f"rotate {name}"
