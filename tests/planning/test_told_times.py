"""Times that people are told, wherever the machine stands, and windows at their very edges."""

import time as clock
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from values import NOW, key, ring, spec

from rotator.model import AnyTime, Retry, Rotation, Window
from rotator.planning.due import after_rollback, due
from rotator.planning.windows import FOREVER, closes, next_opening, opened


SUNDAYS = Rotation(windows=AnyTime(), every=None, cron="0 3 * * SUN")
EVERY_DAY = frozenset(range(7))


@pytest.fixture(params=["Asia/Tokyo", "America/Los_Angeles"])
def elsewhere(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    clock.tzset()
    yield
    monkeypatch.undo()
    clock.tzset()


@pytest.mark.parametrize(
    ("retry", "said"),
    [
        (
            Retry(1, NOW + timedelta(hours=1)),
            "due, but it failed once in a row; it is tried again 2026-11-24 13:00 UTC",
        ),
        (
            Retry(2, NOW + timedelta(hours=1)),
            "due, but it failed 2 times in a row; it is tried again 2026-11-24 13:00 UTC",
        ),
        (
            Retry(0, NOW + timedelta(days=2)),
            "due, but the previous key was put back by hand; the next rotation is put off until 2026-11-26 12:00 UTC",
        ),
    ],
)
def test_why_it_is_put_off_and_until_when(retry: Retry, said: str) -> None:
    old = replace(ring(key(created=NOW - timedelta(days=40))), retry=retry)
    found = due(spec(rotation=Rotation(windows=AnyTime())), old, NOW)
    assert (found.due, found.message, found.at) == (False, said, retry.at)


@pytest.mark.usefixtures("elsewhere")
def test_cron_is_in_utc_wherever_the_machine_is() -> None:
    assert after_rollback(spec(rotation=SUNDAYS), key(), NOW).at == datetime(2026, 11, 29, 3, tzinfo=UTC)


@pytest.mark.usefixtures("elsewhere")
def test_windows_go_by_the_day_of_their_own_zone() -> None:
    window = Window(frozenset({1}), time(0), time(3), "Pacific/Kiritimati")
    begins = datetime(2026, 11, 30, 10, tzinfo=UTC)  # Tuesday there, Monday elsewhere
    assert next_opening((window,), begins - timedelta(hours=1)) == begins
    assert closes((window,), begins) == begins + timedelta(hours=3)
    assert str(next_opening((window,), NOW).tzinfo) == str(UTC)  # type: ignore[union-attr]
    assert str(closes((window,), begins).tzinfo) == str(UTC)  # type: ignore[union-attr]


def test_a_window_whose_end_is_its_start_lasts_a_day() -> None:
    window = Window(frozenset({1}), time(6), time(6), "UTC")
    begins = datetime(2026, 11, 24, 6, tzinfo=UTC)
    assert closes((window,), begins) == begins + timedelta(days=1)
    assert closes((window,), begins + timedelta(days=1)) is None
    assert next_opening((window,), begins) == begins + timedelta(days=7)


def test_without_a_window_none_opens() -> None:
    assert next_opening((), NOW) is None
    assert closes((), NOW) is None
    assert opened((), NOW) is None


def test_windows_that_touch_opened_with_the_first_of_them() -> None:
    chain = tuple(Window(frozenset({1}), time(hour), time(hour + 2), "UTC") for hour in (6, 8, 10))
    assert opened(chain, datetime(2026, 11, 24, 11, 59, tzinfo=UTC)) == datetime(2026, 11, 24, 6, tzinfo=UTC)
    assert opened(chain, datetime(2026, 11, 24, 12, tzinfo=UTC)) is None
    assert opened((Window(EVERY_DAY, time(0), time(0), "UTC"),), NOW) is None
    assert closes((Window(EVERY_DAY, time(0), time(0), "UTC"),), NOW) == FOREVER
