"""What a run does to the world, counted effect by effect, and what strikes it there."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final


CRASH_BEFORE: Final = "crash before"
CRASH_AFTER: Final = "crash after"
LOST: Final = "lost"
"""Done, but the answer is lost. A keyring: stored, but it hangs."""
LATE: Final = "late"
"""Not done now, and the answer lost; a write to the server may land later. A keyring: says yes, stores nothing."""
REFUSED: Final = "refused"
"""Not done, and said so: the connection is refused, the keyring is locked, the disk is full."""
VANISH: Final = "vanish"
"""A keyring: this write and all that follow are gone when the process ends. Elsewhere as `refused`."""
CRASH_SENT: Final = "crash sent"
"""A write to the server: on its way, and may land later, when the process ends. A question: the process ends. Elsewhere
as `refused`."""
AWAY: Final = "away"
"""A server: as `late`, and QRS answers this run nothing more. Elsewhere as `refused`."""
PAGE: Final = "page"
"""A server: done, and answered with a web page. Elsewhere as `lost`."""
GARBLED: Final = "garbled"
"""A server: done, but TLS breaks in the answer. A keyring: it hangs, and stores at the call after the next. Elsewhere as `lost`."""
STATUSES: Final = ("400", "401", "403", "404", "409", "500", "503")
"""A server: not done, and answered with this status. Elsewhere as `refused`."""
ACTS: Final = (CRASH_BEFORE, CRASH_AFTER, CRASH_SENT, LOST, LATE, AWAY, REFUSED, VANISH, PAGE, GARBLED, *STATUSES)


class Crash(BaseException):
    """The process is dead. No handler of rotator's catches it, and nothing it still tries has an effect."""


@dataclass(frozen=True)
class Stroke:
    """The `nth` effect (from 1) that carries `label`, and the `times - 1` after it, meet `act`.

    `meanwhile` is done just before, by somebody else.
    """

    label: str
    nth: int
    act: str | None
    times: int = 1
    meanwhile: Callable[[], None] | None = None


class Effects:
    """The effects of one run. `watch` is called before each, and sees the world as it is at that instant."""

    def __init__(self, strokes: Sequence[Stroke] = (), watch: Callable[[], None] = lambda: None) -> None:
        self._strokes = strokes
        self._watch = watch
        self.dead = False
        self.disturbed = False
        self.away = False
        self.seen: Counter[str] = Counter()
        self.struck: list[tuple[str, ...]] = []
        self.trace: list[tuple[str, ...]] = []

    def strike(self, *labels: str) -> str | None:
        """Count an effect; what it meets, if anything. Raises Crash where the process ends before it, or is dead."""
        if self.dead:
            raise Crash
        self._watch()
        self.trace.append(labels)
        found = None
        for label in ("any", *labels):
            self.seen[label] += 1
        for stroke in self._strokes:
            past = self.seen[stroke.label] - stroke.nth
            if stroke.label not in ("any", *labels) or not 0 <= past < stroke.times:
                continue
            if stroke.meanwhile is not None:
                self.disturbed = True
                stroke.meanwhile()
            if found is None and stroke.act is not None:
                found = stroke.act
                self.struck.append((stroke.act, *labels))
        if found == CRASH_BEFORE:
            self.die()
        return found

    def die(self) -> None:
        """Raise Crash, now and from now on."""
        self.dead = True
        raise Crash
