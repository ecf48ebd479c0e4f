"""What the main loop of the daemon hears of: from the scheduler's thread, from children, from signals."""

from dataclasses import dataclass

from rotator.daemon.children import Handle


@dataclass(frozen=True, slots=True)
class Alarm:
    """A time has come. `name` is the alarm's."""

    name: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A child has ended. A negative `status` is the signal that killed it."""

    handle: Handle
    status: int
    out: bytes
    err: bytes


@dataclass(frozen=True, slots=True)
class Reload:
    """Read the configuration again."""


@dataclass(frozen=True, slots=True)
class Shutdown:
    """Come to an end. `signal` is what asked for it."""

    signal: str


@dataclass(frozen=True, slots=True)
class SchedulerFailed:
    """The scheduler could not do its work."""

    message: str


Event = Alarm | Ended | Reload | Shutdown | SchedulerFailed
