"""What the journal knows of earlier runs."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Memory(StrEnum):
    """What the journal remembers of a virtual proxy's keys, against what the keyring holds.

    `NEWER`: it knows of changes that the keyring does not have, which is then an older copy of itself, or empty.
    """

    INTACT = "intact"
    LOST = "lost"
    NEWER = "newer"


@dataclass(frozen=True, slots=True)
class Event:
    """A step of a run, or one effect on the keyring or the server. `requests` are those made meanwhile.

    `seconds` is how long it took, None while it goes on, or after a crash.
    """

    kind: str
    name: str
    detail: str
    began: datetime
    seconds: float | None
    requests: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Run:
    """What one command did to one virtual proxy. `exit`, `ended` and `seconds` are None while it runs, or after a crash.

    `sessions` is how many it was known to end, None where it ended none or their number was not known.
    """

    site: str
    name: str
    command: str
    started_by: str
    pid: int
    began: datetime
    ended: datetime | None
    seconds: float | None
    exit: int | None
    outcome: str
    reason: str
    message: str
    fingerprint: str | None
    requests: int
    events: tuple[Event, ...]
    sessions: int | None = None

    @property
    def same(self) -> tuple[str, str, int, datetime]:
        """What tells this run from all others."""
        return self.site, self.name, self.pid, self.began
