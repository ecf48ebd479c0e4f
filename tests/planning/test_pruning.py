"""Which keys may be deleted for good: what could still be needed, or come back to the server, stays."""

from dataclasses import replace
from datetime import timedelta

import pytest
from values import NOW, key, observed, ring

from rotator.model import Delivery, Fingerprint, Intent, IntentKind, KeyVersion, Ring, Stage
from rotator.planning.pruning import prunable


OLD = NOW - timedelta(days=8)
OVER = "2025-12-31T23:59:59.000Z"  # before the entity's modifiedDate in `observed`


def retired(letter: str, since_days: float = 8, *, sent: bool = True, over: str | None = OVER) -> KeyVersion:
    made = key(letter, Stage.RETIRED, sent=sent)
    return replace(made, since=NOW - timedelta(days=since_days), sent_over=over)


def gone(keys: Ring, shown: str | None = "a", keep: int = 0) -> str:
    return "".join(item.fingerprint[0] for item in prunable(keys, observed(shown), keep, NOW))


RETIRED = ring(key("a"), key("b", Stage.PENDING), key("c", Stage.PREVIOUS), retired("d", 9), retired("e", 8))


def test_the_newest_retired_keys_are_kept_and_every_other_stage() -> None:
    assert gone(RETIRED) == "de"
    assert gone(RETIRED, keep=1) == "d"
    assert gone(RETIRED, keep=2) == gone(RETIRED, keep=3) == ""


def test_what_the_server_shows_stays_whatever_its_stage() -> None:
    assert gone(RETIRED, shown="d") == "e"


def test_both_ends_of_a_change_under_way_stay_and_a_key_that_is_to_be_handed_over() -> None:
    letter = {name: Fingerprint(name * 64) for name in "de"}
    assert gone(replace(RETIRED, intent=Intent("i", IntentKind.ROTATE, NOW, letter["d"], None, letter["e"]))) == ""
    assert gone(replace(RETIRED, delivery=Delivery("x", letter["e"], NOW))) == "d"


@pytest.mark.parametrize(
    ("version", "goes"),
    [
        (retired("d", 7), True),
        (retired("d", 6.99), False),
        (retired("d", 0, sent=False), True),
        (retired("d", 99, over="2026-01-01T00:00:00.000Z"), False),  # the entity has not changed since it was sent
        (retired("d", 99, over="2026-01-01T00:00:00.001Z"), False),
        (retired("d", 99, over="yesterday"), False),
        (retired("d", 99, over="2025-12-31T23:59:59"), False),  # of no time zone: nobody knows which came first
        (retired("d", 99, over=None), True),
    ],
)
def test_a_key_whose_certificate_was_sent_stays_until_a_late_put_of_it_must_fail(
    version: KeyVersion, goes: bool
) -> None:
    assert gone(ring(key("a"), version)) == ("d" if goes else "")


def test_a_date_that_cannot_be_read_proves_nothing() -> None:
    assert prunable(RETIRED, observed("a", modified="soon"), 0, NOW) == ()
