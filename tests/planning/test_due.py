"""What is due, and when a window is open: tables of cases, and properties over years of minutes."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from values import INTENT, NOW, SUNDAY, WINDOWS, key, ring, spec

from rotator.model import AnyTime, Consumers, Delivery, Fingerprint, Retry, Ring, Rotation, Stage, Window
from rotator.planning.due import DueReason, after_rollback, due, may_begin, next_retry, tried_again
from rotator.planning.windows import FOREVER, closes, next_opening


MONTHLY = Rotation(windows=AnyTime())
WEEKLY = Rotation(windows=AnyTime(), every=None, cron="0 3 * * SUN")


def aged(days: float, rotation: Rotation = MONTHLY) -> tuple[DueReason, bool]:
    found = due(spec(rotation=rotation), ring(key(created=NOW - timedelta(days=days))), NOW)
    return found.reason, found.due


def test_by_age() -> None:
    assert aged(29.9) == (DueReason.NOT_YET, False)
    assert aged(30) == (DueReason.AGE, True)


def test_by_cron_in_utc() -> None:
    assert aged(1, WEEKLY) == (DueReason.NOT_YET, False)
    assert aged(8, WEEKLY) == (DueReason.CRON, True)


def test_by_the_end_of_the_certificate() -> None:
    ending = key(not_after=NOW + timedelta(days=29), created=NOW)
    found = due(spec(rotation=Rotation(windows=AnyTime())), ring(ending), NOW)
    assert (found.reason, found.due) == (DueReason.CERTIFICATE_ENDS, True)
    both = key(not_after=NOW + timedelta(days=30), created=NOW - timedelta(days=30))
    assert due(spec(rotation=MONTHLY), ring(both), NOW).reason is DueReason.AGE


def test_an_open_intent_is_due_outside_windows_and_for_manual_consumers() -> None:
    closed = spec(consumers=Consumers.MANUAL, rotation=Rotation(windows=()))
    assert due(closed, replace(ring(key()), intent=INTENT), NOW).reason is DueReason.UNFINISHED


def test_a_key_that_was_not_handed_over_is_due_outside_windows_while_there_is_a_hook() -> None:
    waiting = replace(ring(key()), delivery=Delivery("d", Fingerprint("a" * 64), NOW))
    for consumers in Consumers:
        found = due(spec(consumers=consumers, rotation=Rotation(windows=())), waiting, NOW)
        assert (found.reason is DueReason.UNDELIVERED) is found.due is (consumers is Consumers.HOOK)
        assert (found.at == NOW) is found.due


def test_a_previous_key_that_was_not_tested_is_due_outside_windows() -> None:
    closed = spec(consumers=Consumers.MANUAL, rotation=Rotation(windows=()))
    found = due(closed, replace(ring(key()), untested=True), NOW)
    assert (found.due, found.reason, found.at) == (True, DueReason.UNFINISHED, NOW)


def test_the_schedule_counts_from_when_the_key_became_current() -> None:
    """It may have been prepared long before, and handed out meanwhile: it does not go again as soon as it has come."""
    prepared = replace(key(created=NOW - timedelta(days=31)), since=NOW - timedelta(minutes=1))
    for rotation in (MONTHLY, WEEKLY):
        assert due(spec(rotation=rotation), ring(prepared), NOW).reason is DueReason.NOT_YET


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (spec(consumers=Consumers.MANUAL, rotation=Rotation(windows=AnyTime())), DueReason.MANUAL),
        (spec(rotation=Rotation(windows=())), DueReason.NO_WINDOW),
        (spec(rotation=Rotation(windows=(SUNDAY,))), DueReason.OUTSIDE_WINDOW),
    ],
)
def test_old_but_not_due(made: object, reason: DueReason) -> None:
    found = due(made, ring(key(created=NOW - timedelta(days=99))), NOW)  # type: ignore[arg-type]
    assert (found.due, found.reason) == (False, reason)


def test_without_a_key_there_is_nothing_to_rotate() -> None:
    assert due(spec(rotation=Rotation(windows=AnyTime())), ring(), NOW).reason is DueReason.NO_KEY


def test_a_start_needs_twice_the_settle_timeout() -> None:
    end = datetime(2026, 11, 29, 4, 0, tzinfo=UTC)  # 05:00 in Stockholm
    made = spec(rotation=Rotation(windows=(SUNDAY,), settle_timeout=timedelta(minutes=10)))
    old = ring(key(created=NOW - timedelta(days=99)))
    assert due(made, old, end - timedelta(minutes=20)).due
    assert not due(made, old, end - timedelta(minutes=19)).due


def test_windows_over_daylight_saving() -> None:
    spring, autumn = datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 10, 25, tzinfo=UTC)
    # 02:00 does not exist on 29 March in Stockholm; the window opens when the clocks jump to 03:00, 01:00 UTC.
    assert next_opening((SUNDAY,), spring) == spring + timedelta(hours=1)
    assert closes((SUNDAY,), spring + timedelta(hours=2)) == spring + timedelta(hours=3)
    # 02:00 comes twice on 25 October: the window opens at the first, and is an hour longer.
    assert next_opening((SUNDAY,), autumn - timedelta(minutes=1)) == autumn
    assert closes((SUNDAY,), autumn) == autumn + timedelta(hours=4)


def test_windows_over_midnight_and_the_end_of_the_week() -> None:
    night = Window(frozenset({6}), time(22), time(4), "UTC")
    monday = datetime(2026, 11, 30, tzinfo=UTC)
    assert closes((night,), monday + timedelta(hours=3, minutes=59)) == monday + timedelta(hours=4)
    assert closes((night,), monday + timedelta(hours=4)) is None
    assert next_opening((night,), monday + timedelta(hours=4)) == monday + timedelta(days=6, hours=22)


def test_any_time_is_always_open() -> None:
    assert closes(AnyTime(), NOW) == FOREVER
    assert next_opening(AnyTime(), NOW) is None


MOMENTS = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))


@given(st.lists(WINDOWS, min_size=1, max_size=3).map(tuple), MOMENTS)
def test_a_window_that_opens_is_open_and_one_that_closes_is_closed(windows: tuple[Window, ...], now: datetime) -> None:
    opening = next_opening(windows, now)
    assert opening is not None
    assert now < opening <= now + timedelta(days=8)
    assert closes(windows, opening) is not None
    end = closes(windows, now)
    if end is not None and end != FOREVER:
        assert now < end
        assert closes(windows, end) is None


def test_windows_that_leave_no_gap_never_close() -> None:
    always = tuple(Window(frozenset(range(7)), time(start), time((start + 12) % 24), "UTC") for start in (3, 15))
    assert closes(always, NOW) == FOREVER
    assert due(spec(rotation=Rotation(windows=always)), ring(key(created=NOW - timedelta(days=99))), NOW).due


def test_the_previous_key_does_not_make_anything_due() -> None:
    keys = ring(key(created=NOW), key(stage=Stage.PREVIOUS, created=NOW - timedelta(days=99), letter="c"))
    assert not due(spec(rotation=Rotation(windows=AnyTime())), keys, NOW).due


def retried(ring_of: int, minutes: float) -> tuple[DueReason, bool]:
    keys = replace(ring(key(created=NOW - timedelta(days=99))), retry=Retry(ring_of, NOW + timedelta(minutes=minutes)))
    found = due(spec(rotation=MONTHLY), keys, NOW)
    return found.reason, found.due


def test_after_a_failure_it_is_tried_again_when_its_delay_is_over() -> None:
    assert retried(1, 5) == (DueReason.RETRY_LATER, False)
    assert retried(1, 0) == (DueReason.AGE, True)
    assert retried(9, 24 * 60) == (DueReason.RETRY_LATER, False)


@pytest.mark.parametrize(
    ("days", "rotation", "told"),
    [
        (99, MONTHLY, "it is tried again unattended not before 2026-11-24 12:15 UTC"),
        (1, MONTHLY, "it is tried again unattended not before 2026-12-23 12:00 UTC"),
        (99, Rotation(windows=(SUNDAY,)), "it is tried again unattended not before 2026-11-24 12:15 UTC"),
        (99, Rotation(windows=()), "no unattended run tries it again, since no window is configured"),
    ],
)
def test_when_a_failure_is_tried_again_is_told_as_it_will_be(days: float, rotation: Rotation, told: str) -> None:
    keys = ring(key(created=NOW - timedelta(days=days)))
    assert tried_again(spec(rotation=rotation), keys, next_retry(spec(rotation=MONTHLY), keys, NOW), NOW) == told
    hooked = spec(consumers=Consumers.HOOK, rotation=rotation)
    for open_end in (
        replace(keys, intent=INTENT),
        replace(keys, delivery=Delivery("d", Fingerprint("a" * 64), NOW)),
    ):
        again = tried_again(hooked, open_end, next_retry(spec(rotation=MONTHLY), keys, NOW), NOW)
        assert again == "it is tried again by the next unattended run"


def test_a_key_that_was_put_back_by_hand_is_left_in_peace_for_a_period() -> None:
    assert retried(0, 30 * 24 * 60) == (DueReason.ROLLED_BACK, False)
    assert after_rollback(spec(rotation=MONTHLY), key(), NOW) == Retry(0, NOW + timedelta(days=30))
    assert after_rollback(spec(rotation=WEEKLY), key(), NOW) == Retry(0, datetime(2026, 11, 29, 3, tzinfo=UTC))


@pytest.mark.parametrize("rotation", [MONTHLY, Rotation(windows=AnyTime(), every=None, cron="0 12 24 12 *")])
@pytest.mark.parametrize(("left", "days"), [(61, 30), (60, 30), (59, 29), (40, 10), (31, 1), (20, 1), (-1, 1)])
def test_a_key_that_was_put_back_is_not_left_until_its_certificate_ends(
    left: int, days: int, rotation: Rotation
) -> None:
    old = key(created=NOW - timedelta(days=99), not_after=NOW + timedelta(days=left))
    retry = after_rollback(spec(rotation=rotation), old, NOW)
    assert retry == Retry(0, NOW + timedelta(days=days))
    kept = replace(ring(old), retry=retry)
    for moment in (NOW, retry.at - timedelta(seconds=1)):
        found = due(spec(rotation=rotation), kept, moment)
        assert (found.due, found.reason in (DueReason.ROLLED_BACK, DueReason.NOT_YET)) == (False, True)
    assert due(spec(rotation=MONTHLY), kept, retry.at).due


def test_a_certificate_that_turns_out_to_end_sooner_ends_the_peace_sooner() -> None:
    """As one that somebody put in place of it: what the keyring noted was the end of another."""
    old = key(created=NOW - timedelta(days=99), not_after=NOW + timedelta(days=40))
    kept = replace(ring(old), retry=Retry(0, NOW + timedelta(days=30)))
    found = due(spec(rotation=MONTHLY), kept, NOW)
    assert (found.due, found.reason, found.at) == (False, DueReason.ROLLED_BACK, NOW + timedelta(days=10))
    assert found.message.endswith("put off until 2026-12-04 12:00 UTC")
    assert due(spec(rotation=MONTHLY), kept, NOW + timedelta(days=10)).due


def test_a_delay_from_before_the_clock_was_set_back_does_not_count() -> None:
    assert retried(1, 24 * 60 + 1) == (DueReason.AGE, True)
    assert retried(0, 31 * 24 * 60) == (DueReason.AGE, True)


@pytest.mark.parametrize("rotation", [MONTHLY, WEEKLY])
def test_a_key_that_became_current_in_the_future_is_due_once(rotation: Rotation) -> None:
    """The clock was years ahead, or is that far behind: nobody knows when its time has come."""
    for days, unknown in ((1, False), (1.01, True), (1500, True)):
        ahead = key(created=NOW + timedelta(days=days), not_after=NOW + timedelta(days=days + 31))
        found = due(spec(rotation=rotation), ring(ahead), NOW)
        assert (found.due, found.reason is DueReason.AGE_UNKNOWN) == (unknown, unknown)
        assert found.at == NOW if unknown else found.at is not None and found.at > NOW
        assert ("2031-01-02 12:00 UTC, which is still to come" in found.message) is (days == 1500)
    settled = due(spec(rotation=rotation), ring(key(created=NOW)), NOW)
    assert settled.reason is DueReason.NOT_YET
    closed = due(spec(rotation=replace(rotation, windows=(SUNDAY,))), ring(ahead), NOW)
    assert (closed.due, closed.reason) == (False, DueReason.OUTSIDE_WINDOW)


OLD = ring(key(created=NOW - timedelta(days=99)))


@pytest.mark.parametrize(
    ("kept", "rotation", "begins"),
    [
        (OLD, MONTHLY, True),
        (ring(key(created=NOW, not_after=NOW + timedelta(days=30))), MONTHLY, True),
        (ring(key(created=NOW + timedelta(days=99))), MONTHLY, True),
        (ring(key()), MONTHLY, False),
        (OLD, Rotation(windows=(SUNDAY,)), False),
        (OLD, Rotation(windows=()), False),
        (replace(OLD, retry=Retry(1, NOW + timedelta(minutes=1))), MONTHLY, False),
        (replace(OLD, retry=Retry(0, NOW + timedelta(days=1))), MONTHLY, False),
        (replace(OLD, intent=INTENT), MONTHLY, False),
        (replace(OLD, untested=True), MONTHLY, False),
        (replace(OLD, delivery=Delivery("d", Fingerprint("a" * 64), NOW)), MONTHLY, False),
    ],
)
def test_a_rotation_begins_where_it_is_due_and_may_start(kept: Ring, rotation: Rotation, begins: bool) -> None:
    assert may_begin(spec(consumers=Consumers.HOOK, rotation=rotation), kept, NOW) is begins


@pytest.mark.parametrize(
    ("minutes", "stays"), [(14, False), (15, False), (16, True), (30 * 24 * 60, True), (30 * 24 * 60 + 1, False)]
)
def test_a_failure_does_not_shorten_what_a_person_has_put_off(minutes: int, stays: bool) -> None:
    """But what they put off while the clock was ahead does not count, and must not stand for a failure's delay."""
    by_hand = Retry(0, NOW + timedelta(minutes=minutes))
    retry = next_retry(spec(rotation=MONTHLY), replace(OLD, retry=by_hand), NOW)
    assert retry == (by_hand if stays else Retry(1, NOW + timedelta(minutes=15)))


def test_delays_double_and_are_capped_at_a_day() -> None:
    keys, delays = ring(key()), []
    for _ in range(10):
        retry = next_retry(spec(rotation=MONTHLY), keys, NOW)
        keys = replace(keys, retry=retry)
        delays.append((retry.at - NOW) / timedelta(minutes=15))
    assert delays == [1, 2, 4, 8, 16, 32, 64, 96, 96, 96]
    assert retry.attempts == 10
