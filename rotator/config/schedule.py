"""Parsers of when a rotation runs: cron expressions and maintenance windows."""

import re
from datetime import UTC, datetime, time, timedelta
from itertools import islice, pairwise
from pathlib import Path
from typing import Final

from rotator.config.values import Wrong, list_of, shown, text
from rotator.model import AnyTime, Window, Windows


_DAYS: Final = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_DATES: Final = 60
_WINDOW: Final = re.compile(r"(\S+)\s+(\d\d):(\d\d)-(\d\d):(\d\d)\s+(\S+)")


def cron(value: object, base: Path) -> str:
    """A cron expression of five fields, in UTC."""
    given = text(value, base)
    from cronsim import CronSim, CronSimError  # noqa: PLC0415 - 10 ms, for those who use it

    try:
        next(CronSim(given, datetime(2024, 1, 1, tzinfo=UTC)), None)
    except CronSimError:
        raise Wrong(f'must be five cron fields, as "0 3 * * SUN" (UTC), not {shown(value)}') from None
    return given


def longest_gap(expression: str) -> timedelta:
    """The longest time between two dates that a cron expression names, of the next ones; nothing where there is one."""
    from cronsim import CronSim  # noqa: PLC0415 - for those who use it

    dates = [*islice(CronSim(expression, datetime(2024, 1, 1, tzinfo=UTC)), _DATES)]
    return max((later - earlier for earlier, later in pairwise(dates)), default=timedelta(0))


def windows(value: object, base: Path) -> Windows:
    """`["any"]`, or windows as `SUN 02:00-05:00 Europe/Stockholm`."""
    if value == ["any"]:
        return AnyTime()
    found = list_of(_window)(value, base)
    if not found:
        raise Wrong('must name a window, as ["SUN 02:00-05:00 Europe/Stockholm"], or be ["any"]')
    return found


def _window(value: object, base: Path) -> Window:
    given = text(value, base)
    if given == "any":
        raise Wrong('= "any" stands alone: other windows beside it have no meaning')
    match = _WINDOW.fullmatch(given)
    if not match:
        raise Wrong(f'must be DAYS HH:MM-HH:MM ZONE, as "SUN 02:00-05:00 Europe/Stockholm", not {shown(value)}')
    days, *clock, zone = match.groups()
    start, end = _time(*clock[:2]), _time(*clock[2:])
    if start == end:
        raise Wrong(f'opens and closes at {start:%H:%M}; for always use ["any"]')
    return Window(days=_days(days), start=start, end=end, zone=_zone(zone))


def _time(hour: str, minute: str) -> time:
    try:
        return time(int(hour), int(minute))
    except ValueError:
        raise Wrong(f"has no time {hour}:{minute}; times go from 00:00 to 23:59") from None


def _days(given: str) -> frozenset[int]:
    """`SUN`, `SAT,SUN`, `MON-FRI`, `FRI-MON` or `DAILY`."""
    if given == "DAILY":
        return frozenset(range(7))
    days: set[int] = set()
    for part in given.split(","):
        first, dash, last = part.partition("-")
        if first not in _DAYS or (dash and last not in _DAYS):
            raise Wrong(f'has no day "{part}"; days are {" ".join(_DAYS)}, as SUN, SAT,SUN, MON-FRI or DAILY')
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        days |= {day % 7 for day in range(begin, end + 1 if end >= begin else end + 8)}
    return frozenset(days)


def _zone(name: str) -> str:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - for those who have windows

    try:
        ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise Wrong(f'has no time zone "{name}"; zones are named as Europe/Stockholm or UTC') from None
    return name
