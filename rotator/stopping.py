"""A stop that this process was asked for: obeyed while nothing was changed yet, and afterwards only at the end."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rotator.errors import Stopped


_STDERR = 2


class Stop:
    """Whether a stop was asked for by a signal, and whether the run can still be left without a trace.

    A run calls `check` before whatever takes long and `change` before its first change, which after a crash would be
    finished or undone by the next run. From then on it goes on to its end; asking a second time changes nothing.
    """

    def __init__(self) -> None:
        self._name = ""
        self._asked = False
        self._changing = False
        self._waiting = False
        self.begun = False
        """Whether anything was changed on any of the virtual proxies."""

    def listen(self) -> None:
        """Let SIGTERM ask from now on, and Ctrl-C while a change is under way. Only in the main thread."""
        signal.signal(signal.SIGTERM, self._terminated)
        signal.signal(signal.SIGINT, self._interrupted)

    def begin(self, name: str) -> None:
        """A run on the virtual proxy `name` begins. Raises Stopped."""
        self._name, self._changing = name, False
        self.check()

    def check(self) -> None:
        """Raise Stopped where a stop was asked for and nothing was changed yet."""
        if self._asked and not self._changing:
            raise self._stopped()

    def change(self) -> None:
        """The first change follows, or one that an earlier run began is gone on with. Raises Stopped at the last moment."""
        self.check()
        self._changing = self.begun = True

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """While a person is asked, a stop need not wait for the answer."""
        self._waiting = True
        try:
            yield
        finally:
            self._waiting = False

    def _stopped(self) -> Stopped:
        return Stopped(
            f"{self._name}: stopped by SIGTERM; the server was not changed",
            hint="what was due still is: the next unattended run does it, or run the same command again",
        )

    def _terminated(self, number: int, _: FrameType | None) -> None:
        if self._waiting:
            raise self._stopped()
        self._ask(number)

    def _interrupted(self, number: int, frame: FrameType | None) -> None:
        """Ctrl-C in the middle of a change is what keeps users out: the first is put off, the second is meant."""
        if self._asked or not self._changing:
            signal.default_int_handler(number, frame)
        self._ask(number)

    def _ask(self, number: int) -> None:
        if self._changing and not self._asked:
            # A signal handler may interrupt a buffered write of the same stream.
            told = f"rotator: {signal.Signals(number).name}: the change under way is finished or undone first\n"
            os.write(_STDERR, told.encode())
        self._asked = True
