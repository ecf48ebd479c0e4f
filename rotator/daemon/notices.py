"""What people must be told of what the daemon sees: by `rotator notify`, one process at a time, which no rotation waits for.

What was told before, and so is no news, is known to the outbox. Here is decided only what is worth a process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from rotator.daemon.children import Child
from rotator.daemon.lines import Lines
from rotator.daemon.looks import Look
from rotator.errors import ExitStatus, RotatorError
from rotator.planning.notices import TELL_AGAIN, plain
from rotator.planning.starts import pause


LIMIT: Final = timedelta(minutes=5)
"""How long one process may take: every channel has a limit of its own, and another run may be delivering."""
LASTS: Final = 3
"""A trouble that goes away by itself is told when it was met so often in a row."""
AGAIN: Final = TELL_AGAIN + timedelta(minutes=10)
"""When a trouble that lasts is brought up again; not so early that it would still count as told."""
ATTEMPTS: Final = 10
"""How often one notice is tried, over two hours."""
MOST: Final = 100
"""Notices that wait for their process; beyond it the oldest are dropped."""
NAMES: Final = 50
"""Virtual proxies in one command line."""


@dataclass(eq=False, slots=True)
class Word:
    """What `rotator notify` is to be given: without arguments it delivers what waits. Not `before`, a steady time."""

    arguments: tuple[str, ...]
    before: float
    attempts: int = 0


class Notices:
    """`start` runs `rotator notify` with arguments, None where it cannot be started; `wanted`: there is a channel.

    `monotonic` gives seconds that never go back.
    """

    def __init__(
        self,
        start: Callable[[tuple[str, ...]], Child | None],
        wanted: Callable[[], bool],
        monotonic: Callable[[], float],
        lines: Lines,
    ) -> None:
        self._start = start
        self._wanted = wanted
        self._monotonic = monotonic
        self._lines = lines
        self._words: list[Word] = []
        self._current: Word | None = None
        self._row: dict[tuple[str, str], int] = {}
        self._again: dict[tuple[str, str, str], float] = {}
        self._well: set[str] = set()
        self._stopped = False
        self.running: Child | None = None

    def tell(self, name: str, error: RotatorError) -> None:
        """A trouble of a virtual proxy, or with an empty `name` of rotator itself."""
        told = (f"--trouble={plain(error.message)}", f"--reason={error.reason}")
        self._say(
            *told, *([f"--hint={plain(error.hint)}"] if error.hint else []), *([f"--name={name}"] if name else [])
        )

    def failed(self, command: str, name: str, error: RotatorError) -> None:
        """A `command` about it failed in a way that may pass: told once it lasts, and again after a day."""
        if not self._wanted():
            return
        self._row[command, name] = self._row.get((command, name), 0) + 1
        if self._row[command, name] < LASTS:
            return
        key, now = (command, name, error.reason), self._monotonic()
        if now >= self._again.get(key, now):
            self._again[key] = now + AGAIN.total_seconds()
            if command == "due":
                self._well.discard(name)
            self.tell(name, error)

    def worked(self, command: str, name: str) -> None:
        """That command about it succeeded."""
        self._row.pop((command, name), None)
        self._again = {key: at for key, at in self._again.items() if key[:2] != (command, name)}

    def looked(self, look: Look) -> None:
        """What a look has seen. The end of a trouble is told where it was told before, or may have been, by an earlier daemon."""
        for name, error in look.troubles.items():
            self.failed("due", name, error)
        for name in look.well:
            self.worked("due", name)
        if not self._wanted():
            return
        fresh = sorted(look.well - self._well)
        self._well |= look.well
        for first in range(0, len(fresh), NAMES):
            self._say("--over", *(f"--name={name}" for name in fresh[first : first + NAMES] if name))

    def forget(self, names: frozenset[str]) -> None:
        """Keep what is known of these names, and of rotator itself."""
        kept = names | {""}
        self._row = {key: count for key, count in self._row.items() if key[1] in kept}
        self._again = {key: at for key, at in self._again.items() if key[1] in kept}
        self._well &= kept

    def go_on(self) -> None:
        """Start the next process, if one is wanted and none runs."""
        if self.running is not None or self._stopped or not self._wanted():
            return
        self._current = self._next()
        if self._current is None:
            return
        self.running = self._start(self._current.arguments)
        if self.running is None:
            self._try_again(self._current)

    def ended(self, status: int, err: bytes) -> None:
        """The process has ended. What it has put into the outbox is delivered by it, by later ones, and by every run."""
        word, self.running, self._current = self._current, None, None
        if word is None or self._stopped:
            return
        if status == ExitStatus.DONE:
            self._words = [other for other in self._words if other is not word and other.arguments]
            return
        said = err.decode("utf-8", "replace").strip().splitlines()
        told = f"killed by signal {-status}" if status < 0 else f"ended with {status}"
        self._lines.warning(f"`rotator notify` {told}{f': {said[0]}' if said else ''}; what waits is tried again")
        if status != ExitStatus.NOT_DELIVERED or not word.arguments:
            self._try_again(word)
            return
        self._words.remove(word)
        if all(other.arguments for other in self._words):
            self._words.append(Word((), self._monotonic() + pause(1).total_seconds()))

    def stop(self) -> None:
        """Tell nothing more; what runs is ended, and what it has put into the outbox waits there."""
        self._stopped = True
        if self.running is not None:
            self.running.kill()

    def _say(self, *arguments: str) -> None:
        if self._stopped or not self._wanted():
            return
        last = self._words[-1] if self._words else None
        if last is not None and last is not self._current and last.arguments == arguments:
            return
        self._words.append(Word(arguments, self._monotonic()))
        if len(self._words) > MOST:
            self._words.remove(next(word for word in self._words if word is not self._current))
            self._lines.warning("too many notices wait for `rotator notify`: the oldest is dropped")

    def _next(self) -> Word | None:
        """The oldest; only deliveries let others go before them, as those depend on their order."""
        for word in self._words:
            if word.before <= self._monotonic():
                return word
            if word.arguments:
                return None
        return None

    def _try_again(self, word: Word) -> None:
        word.attempts += 1
        if word.attempts < ATTEMPTS:
            word.before = self._monotonic() + pause(word.attempts).total_seconds()
            return
        self._words.remove(word)
        self._lines.warning(f"`rotator notify` failed {ATTEMPTS} times: nobody was told by it; the lines above say why")
