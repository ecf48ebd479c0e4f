"""Time that passes only when somebody waits, and the clocks that show it, each with an error of its own."""

import heapq
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

from values import NOW

from rotator.sandbox.clock import Clock


class Timeline:
    """Seconds since the world began. What is to happen later happens while they pass."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._order = count()
        self._later: list[tuple[float, int, Callable[[], None]]] = []

    def present(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._later, (self.seconds + seconds, next(self._order), action))

    def elapse(self, seconds: float) -> None:
        end = self.seconds + seconds
        while self._later and self._later[0][0] <= end:
            at, _, action = heapq.heappop(self._later)
            self.seconds = max(self.seconds, at)
            action()
        self.seconds = end


class LocalClock:
    """Implements ports.Clock: sleeping makes time pass. `offset` seconds are its error."""

    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        self.offset = 0.0

    def now(self) -> datetime:
        return self._timeline.present() + timedelta(seconds=self.offset)

    def monotonic(self) -> float:
        return self._timeline.seconds

    def sleep(self, seconds: float) -> None:
        self._timeline.elapse(seconds)


class ServerClock(Clock):
    """The sandbox's clock, whose stamps follow it back when it is set back: no two in a row are the same, that is all."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__()
        self._timeline = timeline
        self._shown = ""

    def now(self) -> datetime:
        return self._timeline.present() + timedelta(seconds=self.offset)

    def stamp(self) -> str:
        moment = self.now()
        moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
        while (text := f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z") == self._shown:
            moment += timedelta(milliseconds=1)
        self._shown = text
        return text
