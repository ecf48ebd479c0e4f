"""When the daemon starts `rotate` next, how long a run may take, and how long the daemon waits after one that failed."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from rotator.model import Json, ProxySpec, Rotation
from rotator.planning.due import Due, DueReason
from rotator.planning.windows import closes, enough_left, next_opening, opened


FIRST_PAUSE: Final = timedelta(seconds=15)
"""How long after a start that left something due the next one is made; twice as long after each further one."""
LONGEST_PAUSE: Final = timedelta(hours=1)
OPENINGS: Final = 16
"""How many openings are looked at for one that is long enough: two weeks of daily windows."""
AROUND: Final = timedelta(minutes=10)
"""What a rotation may take beside waiting for proxies: slow answers, a cold start, the hook, the notices."""
WAITS: Final = 6
"""How often a rotation may wait for `settle_timeout`: after the PUT for its answer, for the list of proxies and for the
test, and for the undo's questions before and after, and its test."""

_AT_ONCE: Final = (DueReason.UNFINISHED, DueReason.UNDELIVERED)
_NEVER: Final = (DueReason.MANUAL, DueReason.NO_KEY, DueReason.NO_WINDOW)
_DATED: Final = (DueReason.AGE, DueReason.CRON, DueReason.CERTIFICATE_ENDS, DueReason.NOT_YET)
"""Reasons whose `at` is the date on which the key is due, not a window's opening or a retry."""


def next_start(spec: ProxySpec, found: Due, now: datetime) -> datetime | None:
    """When `rotate` is to be started, not before `now` (UTC); None where only a change of the ring makes it due.

    Never where less than twice `settle_timeout` is left of the window. The jitter counts from the window's opening, or
    from the date on which the key is due where that is later; a retry is not spread again.
    """
    if found.due and found.reason in _AT_ONCE:
        return now
    if found.reason in _NEVER or found.at is None:
        return None
    windows = spec.rotation.windows
    start = _startable(spec.rotation, max(found.at, now))
    if start is None:
        return None
    begin = opened(windows, start)
    date = found.at if found.reason in _DATED else None
    origin = max((moment for moment in (begin, date) if moment is not None), default=None)
    if origin is None:
        return start
    end = closes(windows, start)
    assert end is not None  # noqa: S101 - a window is open at a moment at which one may start
    room = min(spec.rotation.jitter, end - spec.rotation.margin - origin)
    return max(start, origin + room * _fraction(spec, origin))


def _startable(rotation: Rotation, earliest: datetime) -> datetime | None:
    """The first moment, not before `earliest`, at which a window is open with enough left of it."""
    at = earliest
    for _ in range(OPENINGS):
        if enough_left(rotation, at):
            return at
        following = next_opening(rotation.windows, at)
        if following is None:
            return None
        at = following
    return None


def _fraction(spec: ProxySpec, origin: datetime) -> float:
    """From 0 to 1, the same for one virtual proxy and one date however often it is asked."""
    told = f"{spec.site}/{spec.name}/{origin:%Y-%m-%dT%H:%M}"
    return int.from_bytes(sha256(told.encode()).digest()[:4]) / 2**32


def pause(starts: int) -> timedelta:
    """How long to wait after so many starts in a row that left something due."""
    return min(FIRST_PAUSE * (1 << min(starts - 1, 16)), LONGEST_PAUSE)


def time_limit(spec: ProxySpec) -> timedelta:
    """How long a run of `rotate` may take before it is taken for stuck."""
    return WAITS * spec.rotation.settle_timeout + AROUND


def verdict(row: Mapping[str, Json]) -> Due | None:
    """A result of `rotator due --json` as the value it was made from; None for one that failed.

    Its times are cut to seconds, so that what is not due yet is due a second later at the latest.
    """
    reason, at = str(row.get("reason")), row.get("due_at")
    if reason not in set(DueReason) or "due" not in row:
        return None
    moment = datetime.fromisoformat(at) if isinstance(at, str) else None
    due = row["due"] is True
    if moment is not None and not due:
        moment += timedelta(seconds=1)
    return Due(due=due, reason=DueReason(reason), message=str(row.get("message", "")), at=moment)
