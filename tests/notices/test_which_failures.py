"""Which failures are told: each once, again after a day, and its end once."""

from dataclasses import replace
from datetime import timedelta

import pytest
from results import failure, success, trouble, writer
from values import NOW, key

from rotator.model import NoticeEvent, Outcome, Result, Trouble
from rotator.planning import notices
from rotator.planning.notices import judge


def test_a_failure_is_told_with_all_that_helps() -> None:
    judged = judge(replace(failure(), key=key()), (), writer(), attended=False)
    told = judged.notice
    assert told is not None
    assert (told.event, told.reason, told.exit, told.message, told.hint) == (
        NoticeEvent.FAILED,
        "ServerUnreachable",
        1,
        "it failed",
        "do this",
    )
    assert (told.fingerprint, told.since, told.host) == ("a" * 64, NOW, "host")
    assert judged.troubles == (Trouble("prod", "portal", "ServerUnreachable", NOW, NOW),)


@pytest.mark.parametrize(
    ("known", "hours", "tells"),
    [
        ("ServerUnreachable", 0, False),
        ("ServerUnreachable", 23, False),
        ("ServerUnreachable", 24, True),
        ("TlsError", 1, True),
        ("ServerUnreachable", -48, True),  # a clock that was set back does not silence anything
    ],
)
def test_the_same_failure_is_told_again_only_after_a_day(known: str, hours: int, tells: bool) -> None:
    before = (trouble(known, NOW - timedelta(hours=hours)),)
    judged = judge(failure(), before, writer(), attended=False)
    assert (judged.notice is not None) is tells
    if judged.notice is not None:
        assert judged.notice.since == before[0].since
        assert {each.reason for each in judged.troubles} == {known, "ServerUnreachable"}


def test_two_reasons_that_take_turns_are_told_once_each() -> None:
    troubles: tuple[Trouble, ...] = ()
    told = 0
    for turn in range(6):
        now = NOW + timedelta(minutes=15 * turn)
        judged = judge(failure(("TlsError", "ServerUnreachable")[turn % 2]), troubles, writer(now=now), attended=False)
        troubles = judged.troubles
        told += judged.notice is not None
    assert told == 2


@pytest.mark.parametrize("status", [2, 3])
def test_a_lock_a_window_and_a_wrong_command_line_are_no_failures(status: int) -> None:
    judged = judge(failure(status=status), (trouble(),), writer(), attended=False)
    assert judged == notices.Judged(None, (trouble(),))


def test_whoever_writes_the_configuration_is_not_told_of_it() -> None:
    assert judge(failure("ConfigError", 78), (), writer(), attended=True).notice is None
    assert judge(failure("ConfigError", 78), (), writer(), attended=False).notice is not None
    assert judge(failure("UndoFailed", 4), (), writer(), attended=True).notice is not None


def test_commands_that_only_look_or_delete_do_not_tell_their_failures() -> None:
    assert judge(failure(), (), writer("keys prune"), attended=False).notice is None


@pytest.mark.parametrize(
    ("reason", "came", "over"),
    [
        ("ServerUnreachable", success(Outcome.UNCHANGED, "NotYet"), True),
        ("ServerUnreachable", success(Outcome.UNCHANGED, "RetryLater"), False),
        ("ServerUnreachable", success(Outcome.UNCHANGED, "OutsideWindow"), False),
        ("NotDelivered", success(Outcome.DELIVERED, "Undelivered"), True),
        ("NotDelivered", success(), True),
        ("NotDelivered", success(Outcome.UNCHANGED, "NotYet"), True),
        ("NotDelivered", success(Outcome.VERIFIED, "Verified", tested=True), False),
        ("NotDelivered", success(Outcome.UNCHANGED, "Settled", tested=True), False),
        ("NotDelivered", success(Outcome.REPAIRED, "Differs"), False),
        ("Undone", success(Outcome.UNCHANGED, "NotYet"), False),
        ("Undone", success(Outcome.VERIFIED, "Verified", tested=True), False),
        ("Undone", success(), True),
        ("UndoFailed", success(Outcome.UNCHANGED, "NotYet"), False),
        ("UndoFailed", success(Outcome.UNCHANGED, "Agreed", tested=True), True),
        ("UndoFailed", success(Outcome.RECOVERED, "Undone"), True),
        ("VerificationFailed", success(Outcome.VERIFIED, "Verified", tested=True), True),
        ("PersonNeeded", success(Outcome.PREPARED, "NotYet"), False),
    ],
)
def test_recovered_is_what_shows_that_the_failure_is_over(reason: str, came: Result, over: bool) -> None:
    judged = judge(came, (trouble(reason),), writer(), attended=False)
    assert (judged.notice is not None) is over
    assert judged.troubles == (() if over else (trouble(reason),))
    if judged.notice is not None:
        assert (judged.notice.event, judged.notice.since) == (NoticeEvent.RECOVERED, trouble().since)


def test_success_without_a_failure_before_is_not_told() -> None:
    assert judge(success(), (), writer(), attended=False).notice is None
