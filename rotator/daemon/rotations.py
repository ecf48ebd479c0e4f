"""The rotations that run: one per site at a time, each within its limit, and not again at once where one failed."""

import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from rotator.daemon.children import KILLED, Child, Handle
from rotator.daemon.lines import Lines
from rotator.errors import ExitStatus, RotatorError, RunFailed, RunTooLong
from rotator.model import ProxySpec
from rotator.planning.starts import pause


GRACE: Final = timedelta(minutes=5)
"""How long a child that exceeded its limit is given to finish or undo before it is killed."""
DEAD: Final = timedelta(minutes=1)
"""How long after SIGKILL a child is waited for: one that is still there then cannot be ended by anybody."""
TELL_THEMSELVES: Final = frozenset(
    {ExitStatus.FAILED, ExitStatus.PERSON_NEEDED, ExitStatus.NOT_DELIVERED, ExitStatus.CONFIG}
)
"""The statuses of failures of which people are told by the run itself."""
HARMLESS: Final = frozenset({ExitStatus.DONE, ExitStatus.TRY_LATER, -signal.SIGTERM})
"""SIGTERM ends a run that has not begun anything yet; one that has finishes, undoes, or says 3."""
MEANINGS: Final = {
    ExitStatus.DONE: "done",
    ExitStatus.FAILED: "failed; the key that was current still logs in",
    ExitStatus.USAGE: "not understood",
    ExitStatus.TRY_LATER: "nothing was changed; it is tried again",
    ExitStatus.PERSON_NEEDED: "a person is needed",
    ExitStatus.NOT_DELIVERED: "rotated and tested, but handing the key over or a notice failed",
    ExitStatus.CONFIG: "the configuration does not allow it",
}


@dataclass(slots=True)
class Pause:
    """So many `starts` in a row left something due; the next is not before `until` on the monotonic clock."""

    starts: int
    until: float


class Rotations:
    """Children that rotate, by the name of their virtual proxy. `monotonic` gives seconds that never go back.

    `tell` is called with a name and what people must know of it: what the run cannot tell them itself.
    Pauses and limits are kept on that clock: one that is put back does not make them longer.
    """

    def __init__(self, monotonic: Callable[[], float], lines: Lines, tell: Callable[[str, RotatorError], None]) -> None:
        self._monotonic = monotonic
        self._lines = lines
        self._tell = tell
        self._pauses: dict[str, Pause] = {}
        self.running: dict[str, Child] = {}

    def free(self, spec: ProxySpec) -> bool:
        """Whether nothing runs on its site."""
        return spec.site not in {child.site for child in self.running.values()}

    def wait(self, name: str) -> timedelta:
        """How long its next start has to wait yet."""
        held = self._pauses.get(name)
        return timedelta(seconds=max(held.until - self._monotonic(), 0.0)) if held else timedelta(0)

    def settled(self, name: str) -> None:
        """Nothing of it is due: what failed before is over."""
        self._pauses.pop(name, None)

    def forget(self, names: frozenset[str]) -> None:
        """Keep the pauses of these names only."""
        self._pauses = {name: held for name, held in self._pauses.items() if name in names}

    def add(self, child: Child) -> None:
        """One was started."""
        self.running[child.name] = child
        self._lines.info(f"{child.name}: rotate started (process {child.handle.pid})")

    def ended(self, handle: Handle, status: int) -> None:
        """One has ended: say how, tell what it could not, and pause before the next."""
        name = next(name for name, child in self.running.items() if child.handle is handle)
        child = self.running.pop(name)
        self.pause(name)
        told = f"{name}: rotate {ending(status)}"
        if status in HARMLESS:
            self._lines.info(told)
            return
        hint = f"what happened: rotator history {name}"
        if status == KILLED and not child.killed:
            hint += "; whether memory had run out: journalctl -k --grep=oom"
        self._lines.error(RotatorError(told, hint=hint))
        if status not in TELL_THEMSELVES and not child.asked:  # of one that was asked people know, or nobody asks
            self._tell(name, RunFailed(told, hint=hint))

    def pause(self, name: str) -> None:
        """Let the next start wait, the longer the more of them left something due."""
        starts = (self._pauses[name].starts if name in self._pauses else 0) + 1
        self._pauses[name] = Pause(starts, self._monotonic() + pause(starts).total_seconds())

    def enforce(self, children: list[Child]) -> bool:
        """Ask and then kill children that exceed their limit. Whether none has outlived even that."""
        alive = True
        for child in children:
            over = timedelta(seconds=self._monotonic() - child.began) - child.limit
            grace = GRACE if child.name else timedelta(0)
            if over > timedelta(0) and not child.asked and child.name:
                told = f"{child.name}: {child.command} takes longer than {child.limit}: it is asked to stop"
                error = RunTooLong(told, hint=f"see where it stands: rotator history {child.name}")
                self._lines.error(error)
                self._tell(child.name, error)
                child.ask()
            if over > grace and not child.killed:
                if child.name:
                    self._lines.warning(f"{child.name}: {child.command} (process {child.handle.pid}) is killed")
                child.kill()
            alive = alive and not over > grace + DEAD
        return alive


def ending(status: int) -> str:
    """How a process ended, in words."""
    if status < 0:
        return f"was killed by signal {-status}; the next run finishes or undoes what it has begun"
    meaning = MEANINGS.get(ExitStatus(status)) if status in set(ExitStatus) else None
    return f"ended with {status}" + (f": {meaning}" if meaning else "")
