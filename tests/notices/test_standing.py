"""How a virtual proxy stands: its keys, its certificate, and when its next run starts."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from values import NOW, key, ring, spec

from rotator.config.schedule import windows
from rotator.model import AnyTime, Retry
from rotator.planning.standing import next_due, of_known, standing


def test_the_next_start_looks_past_schedule_retry_and_window() -> None:
    rotation = spec().rotation
    any_time = spec(rotation=replace(rotation, windows=AnyTime()))
    assert next_due(any_time, ring(key()), NOW) == NOW + timedelta(days=30)
    old = ring(key(created=NOW - timedelta(days=40)))
    assert next_due(any_time, old, NOW) == NOW - timedelta(days=10)
    put_off = replace(old, retry=Retry(2, NOW + timedelta(hours=1)))
    assert next_due(any_time, put_off, NOW) == NOW + timedelta(hours=1)
    assert next_due(spec(), old, NOW) is None
    assert next_due(any_time, ring(), NOW) is None


def test_a_start_that_has_to_wait_for_its_window_is_the_opening_of_that_window() -> None:
    sundays = spec(rotation=replace(spec().rotation, windows=windows(["SUN 02:00-05:00 UTC"], Path())))
    start = next_due(sundays, ring(key()), NOW)  # 30 days after a Tuesday is a Thursday
    assert start == datetime(2026, 12, 27, 2, 0, tzinfo=NOW.tzinfo)


def test_a_standing_is_what_the_keyring_tells() -> None:
    made = standing(spec(), replace(ring(key()), retry=Retry(3, NOW)), NOW)
    assert (made.site, made.name, made.key_created, made.retries) == ("prod", "portal", NOW, 3)
    assert made.certificate_ends == key().not_after
    assert standing(spec(), ring(), NOW).certificate_ends is None
    others = [made, replace(made, name="gone"), replace(made, name=""), replace(made, site="old", name="")]
    assert of_known(others, {("prod", "portal")}) == (made, replace(made, name=""))
