"""When the daemon starts a rotation: tables of cases, and what holds for any window, age and jitter."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from values import INTENT, NOW, SUNDAY, WINDOWS, key, ring, spec

from rotator.model import (
    AnyTime,
    Consumers,
    Delivery,
    Fingerprint,
    ProxySpec,
    Result,
    Retry,
    Ring,
    Rotation,
    Window,
)
from rotator.model.results import Outcome
from rotator.planning.due import LONGEST_RETRY, Due, due
from rotator.planning.starts import LONGEST_PAUSE, next_start, pause, time_limit, verdict
from rotator.planning.windows import FOREVER, closes, opened
from rotator.report.document import document


OPENS = datetime(2026, 11, 29, 1, tzinfo=UTC)  # 02:00 in Stockholm, the Sunday after NOW
DAY = timedelta(days=1)


def start(made: ProxySpec, found: Ring, now: datetime = NOW) -> datetime | None:
    return next_start(made, due(made, found, now), now)


def aged(days: float) -> Ring:
    return ring(key(created=NOW - timedelta(days=days)))


def in_window(**changes: object) -> ProxySpec:
    return spec(rotation=replace(Rotation(windows=(SUNDAY,)), **changes))  # type: ignore[arg-type]


ANY = spec(rotation=Rotation(windows=AnyTime()))


@pytest.mark.parametrize(
    ("made", "found", "expected"),
    [
        (ANY, aged(29), NOW + DAY),
        (ANY, aged(31), NOW),
        (in_window(), aged(31), OPENS),
        (in_window(), aged(29), OPENS),
        (in_window(), aged(20), OPENS + timedelta(days=7)),
        (in_window(), replace(aged(31), retry=Retry(0, OPENS + DAY)), OPENS + timedelta(days=7)),
        (in_window(), replace(aged(0), intent=INTENT), NOW),
        (
            spec(consumers=Consumers.HOOK, rotation=in_window().rotation),
            replace(aged(0), delivery=Delivery("d", Fingerprint("a" * 64), NOW)),
            NOW,
        ),
        (spec(consumers=Consumers.MANUAL, rotation=Rotation(windows=AnyTime())), aged(99), None),
        (spec(rotation=Rotation(windows=())), aged(99), None),
        (ANY, ring(), None),
    ],
)
def test_the_next_start(made: ProxySpec, found: Ring, expected: datetime | None) -> None:
    assert start(made, found) == expected


def test_a_retry_waits_for_its_time_and_then_for_a_window() -> None:
    evening, inside = OPENS - timedelta(hours=4), OPENS + timedelta(hours=1)
    assert start(in_window(), replace(aged(31), retry=Retry(1, inside)), evening) == inside
    assert start(in_window(), replace(aged(31), retry=Retry(7, OPENS + DAY / 2)), inside) == OPENS + timedelta(days=7)


def test_a_window_with_too_little_left_is_waited_out() -> None:
    made = in_window(settle_timeout=timedelta(minutes=10))
    closing = OPENS + timedelta(hours=3)
    assert start(made, aged(99), closing - timedelta(minutes=20)) == closing - timedelta(minutes=20)
    assert start(made, aged(99), closing - timedelta(minutes=19)) == OPENS + timedelta(days=7)


def test_a_key_that_becomes_due_too_late_in_a_window_waits_for_the_next() -> None:
    closing = OPENS + timedelta(hours=3)
    for before, expected in ((4, closing - timedelta(minutes=4)), (3, OPENS + timedelta(days=7))):
        created = closing - timedelta(minutes=before) - timedelta(days=30)
        assert start(in_window(), ring(key(created=created))) == expected


def test_a_failure_noted_while_the_clock_was_ahead_does_not_stand_in_the_way() -> None:
    later = replace(aged(31), retry=Retry(3, NOW + LONGEST_RETRY + timedelta(minutes=1)))
    assert start(ANY, later) == NOW
    assert start(ANY, replace(aged(31), retry=Retry(3, NOW + LONGEST_RETRY))) == NOW + LONGEST_RETRY


def test_jitter_spreads_starts_between_names_and_not_beyond_the_window() -> None:
    made = in_window(jitter=timedelta(hours=12))
    starts = {start(replace(made, name=f"portal{number}"), aged(31)) for number in range(200)}
    last = OPENS + timedelta(hours=3) - 2 * made.rotation.settle_timeout
    assert len(starts) == 200
    assert all(moment is not None and OPENS <= moment <= last for moment in starts)
    quarters = {int((moment - OPENS) / timedelta(minutes=45)) for moment in starts if moment}
    assert quarters == {0, 1, 2, 3}


def test_a_retry_is_not_spread_again() -> None:
    made = in_window(jitter=timedelta(hours=1))
    retried = replace(aged(31), retry=Retry(1, OPENS + timedelta(hours=1, minutes=15)))
    assert start(made, retried, OPENS + timedelta(hours=1)) == OPENS + timedelta(hours=1, minutes=15)
    assert start(made, retried, OPENS + timedelta(hours=1, minutes=15)) == OPENS + timedelta(hours=1, minutes=15)


ROTATIONS = st.builds(
    Rotation,
    every=st.timedeltas(timedelta(hours=1), timedelta(days=40)),
    windows=st.one_of(st.just(AnyTime()), st.lists(WINDOWS, min_size=1, max_size=3).map(tuple)),
    jitter=st.timedeltas(timedelta(0), timedelta(days=1)),
    settle_timeout=st.timedeltas(timedelta(seconds=10), timedelta(minutes=30)),
)
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 1)).map(lambda moment: moment.replace(tzinfo=UTC))


@given(ROTATIONS, MOMENTS, st.timedeltas(timedelta(0), timedelta(days=60)), st.floats(0, 1))
def test_the_start_is_in_a_window_and_stays_where_it_is_until_it_comes(
    rotation: Rotation, now: datetime, age: timedelta, part: float
) -> None:
    made, found = spec(rotation=rotation), ring(key(created=now - age))
    at = start(made, found, now)
    assume(at is not None)
    assert at is not None
    end = closes(rotation.windows, at)
    assert at >= now
    assert end is not None
    assert end - at >= 2 * rotation.settle_timeout
    assert start(made, found, now + (at - now) * part) == at
    assert due(made, found, at).due
    if rotation.jitter == timedelta(0):
        earlier = now + (at - now) * part
        assert earlier == at or not due(made, found, earlier).due


@given(st.lists(WINDOWS, min_size=1, max_size=3).map(tuple), MOMENTS)
def test_a_window_was_closed_before_it_opened_and_open_ever_since(windows: tuple[Window, ...], now: datetime) -> None:
    begin = opened(windows, now)
    end = closes(windows, now)
    assert (end is None) <= (begin is None)
    if begin is None:
        assert end is None or end == FOREVER or end - now > timedelta(0)
        return
    assert begin <= now
    assert closes(windows, begin - timedelta(seconds=1)) is None or end == FOREVER
    assert closes(windows, begin) == end


def test_pauses_grow_and_are_capped() -> None:
    assert [pause(starts).seconds for starts in (1, 2, 3, 4, 8, 9, 1000)] == [15, 30, 60, 120, 1920, 3600, 3600]
    assert pause(10**9) == LONGEST_PAUSE


def test_a_rotation_may_wait_for_its_proxies_there_and_back() -> None:
    assert time_limit(ANY) == 6 * timedelta(seconds=120) + timedelta(minutes=10)


@pytest.mark.parametrize("found", [aged(29.5), aged(31), replace(aged(3), intent=INTENT), ring()])
def test_what_due_prints_is_read_back(found: Ring) -> None:
    told = due(ANY, found, NOW)
    at = f"{told.at:%Y-%m-%dT%H:%M:%SZ}" if told.at else None
    outcome = Outcome.DUE if told.due else Outcome.UNCHANGED
    row = Result("prod", "portal", outcome, told.reason.value, told.message, extra={"due": told.due, "due_at": at})
    read = verdict(document("due", 0, [row], [])["results"][0])  # type: ignore[index,arg-type]
    assert read is not None
    assert (read.due, read.reason, read.message) == (told.due, told.reason, told.message)
    if told.at is None or told.due:
        assert read.at == told.at
    else:
        assert read.at is not None
        assert timedelta(0) < read.at - told.at <= timedelta(seconds=1)


def test_a_row_that_failed_is_no_verdict() -> None:
    assert verdict({"reason": "KeyStoreUnavailable", "outcome": "failed", "message": "no"}) is None
    assert verdict({}) is None
    assert isinstance(verdict({"reason": "NoKey", "due": False, "due_at": None}), Due)
