"""When a maintenance window is open, over daylight saving both ways, midnight and the end of the week."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from rotator.errors import ConfigError, WindowClosed
from rotator.model import AnyTime, ProxySpec, Rotation, Window, Windows


FOREVER: Final = datetime.max.replace(tzinfo=UTC)
"""When `["any"]` closes, and windows that leave no gap."""
_WEEK: Final = timedelta(days=8)
"""A week and the hour by which the clocks may move in it."""
_Span = tuple[datetime, datetime]


def closes(windows: Windows, now: datetime) -> datetime | None:
    """When the window that is open at `now` (UTC) closes; None where none is open.

    Windows that touch count as one; those that leave no gap in a whole week never close: FOREVER.
    """
    if isinstance(windows, AnyTime):
        return FOREVER
    end = None
    at = now
    while at < now + _WEEK:
        ends = [last for first, last in _all_spans(windows, at) if first <= at < last]
        if not ends:
            return end
        end = at = max(ends)
    return FOREVER


def opened(windows: Windows, now: datetime) -> datetime | None:
    """When the window that is open at `now` (UTC) opened; None where none is, and where one was open all week long."""
    if isinstance(windows, AnyTime):
        return None
    at = min((first for first, last in _all_spans(windows, now) if first <= now < last), default=None)
    while at is not None and at > now - _WEEK:
        earlier = [first for first, last in _all_spans(windows, at) if first < at <= last]
        if not earlier:
            return at
        at = min(earlier)
    return None


def next_opening(windows: Windows, now: datetime) -> datetime | None:
    """When a window opens next after `now` (UTC); None where there is none, or one is always open."""
    if isinstance(windows, AnyTime):
        return None
    return min((first for first, _ in _all_spans(windows, now) if first > now), default=None)


def enough_left(rotation: Rotation, now: datetime) -> bool:
    """Whether a rotation may start at `now` (UTC): a window is open, and enough of it is left to end in it."""
    end = closes(rotation.windows, now)
    return end is not None and end - now >= rotation.margin


def no_window(spec: ProxySpec) -> ConfigError:
    """The error for an unattended run of a virtual proxy that has no maintenance window."""
    return ConfigError(
        f"proxy.{spec.name}.rotation: no `window` is set, and a rotation ends the users' sessions",
        hint='say when that may happen, e.g. window = ["SUN 02:00-05:00 Europe/Stockholm"], or ["any"]; '
        f"or rotate by hand: rotator rotate {spec.name} --now",
    )


def check_window(spec: ProxySpec, now: datetime) -> None:
    """Raise WindowClosed unless a window is open with enough left of it. Without any window people choose the time."""
    windows = spec.rotation.windows
    if windows == ():
        return
    if enough_left(spec.rotation, now):
        return
    opening = next_opening(windows, now)
    when = f"; the next one opens at {opening:%Y-%m-%d %H:%M} UTC" if opening else ""
    what = (
        "no maintenance window is open"
        if closes(windows, now) is None
        else "too little of the maintenance window is left"
    )
    raise WindowClosed(
        f"{spec.name}: {what}{when}", hint=f"to rotate all the same: rotator rotate {spec.name} --now --ignore-window"
    )


def _all_spans(windows: tuple[Window, ...], now: datetime) -> Iterator[_Span]:
    """The openings of all windows around `now`."""
    return (span for window in windows for span in _spans(window, now.astimezone(ZoneInfo(window.zone)).date()))


@lru_cache(maxsize=256)
def _spans(window: Window, today: date) -> tuple[_Span, ...]:
    """The window's openings from the week before `today`, which is a local date, to the week after, as UTC from and to.

    A local time that the clocks jump over is taken as the jump's end; of one that comes twice the window opens at the
    first and closes at the second. So a window is never missed, and never shorter than it says but by the jump.
    """
    zone = ZoneInfo(window.zone)
    over_midnight = timedelta(days=1 if window.end <= window.start else 0)
    found = []
    for offset in range(-8, 9):
        day = today + timedelta(days=offset)
        if day.weekday() not in window.days:
            continue
        first = datetime.combine(day, window.start, zone).astimezone(UTC)
        last = datetime.combine(day + over_midnight, window.end, zone).replace(fold=1).astimezone(UTC)
        if first < last:
            found.append((first, last))
    return tuple(found)
