"""Which notices follow: each failure once, its end once, each threshold once."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count

import pytest
from values import NOW, key, ring, spec

from rotator.errors import LookFailed, NotStarted, RunFailed, RunTooLong, SeenFromOutside, UsageError
from rotator.model import Certificate as Kind
from rotator.model import Check, CheckResult, Notice, NoticeEvent, Outcome, Result, Retry, Standing, Trouble, Warned
from rotator.planning import notices
from rotator.planning.notices import Writer, expiring, judge
from rotator.planning.standing import next_due, of_known, standing


def writer(command: str = "rotate", now: datetime = NOW) -> Writer:
    numbers = count()
    return Writer("host", command, now, lambda: f"id{next(numbers)}")


def failure(reason: str = "ServerUnreachable", status: int = 1) -> Result:
    return Result("prod", "portal", Outcome.FAILED, reason, "it failed", "do this", exit_status=status)


def success(outcome: Outcome = Outcome.ROTATED, reason: str = "Promoted", *, tested: bool = False) -> Result:
    checks = (Check("h", "current", CheckResult.PASSED, ""),) if tested else ()
    return Result("prod", "portal", outcome, reason, "it is well", checks=checks)


def trouble(reason: str = "ServerUnreachable", told: datetime = NOW) -> Trouble:
    return Trouble("prod", "portal", reason, NOW - timedelta(hours=3), told)


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


def test_each_threshold_of_a_certificate_is_told_once() -> None:
    ends = NOW + timedelta(days=40)
    warned: dict[tuple[Kind, str, str], Warned] = {}
    told = []
    for hour in range(0, 41 * 24, 5):
        stands = [Standing("prod", "portal", ends), Standing("prod", "", ends)]
        for notice, warning in expiring(stands, warned.values(), writer(now=NOW + timedelta(hours=hour))):
            warned[warning.certificate, warning.site, warning.name] = warning
            told.append((notice.reason, warning.days))
    for reason in ("CertificateEnds", "ClientCertificateEnds"):
        assert [days for said, days in told if said == reason] == [30, 14, 7, 1]


def test_a_certificate_that_is_seen_late_is_told_once_and_a_new_one_anew() -> None:
    stands = Standing("prod", "", NOW + timedelta(days=5))
    ((notice, warning),) = expiring([stands], [], writer())
    assert (warning.days, notice.message.startswith("site prod: the client certificate ends in 5 days")) == (7, True)
    assert expiring([stands], [warning], writer()) == ()
    renewed = replace(stands, certificate_ends=NOW + timedelta(days=10))
    assert [after.days for _, after in expiring([renewed], [warning], writer())] == [14]
    gone = replace(stands, certificate_ends=NOW - timedelta(days=1))
    assert "ended on" in expiring([gone], [], writer())[0][0].message
    assert expiring([replace(stands, certificate_ends=None)], [], writer()) == ()


def test_a_certificate_that_rotator_is_about_to_replace_is_told_only_when_that_is_late() -> None:
    due = Standing("prod", "portal", NOW + timedelta(days=29), next_due=NOW + timedelta(days=3))
    assert expiring([due], [], writer()) == ()
    assert len(expiring([replace(due, next_due=None)], [], writer())) == 1
    assert len(expiring([due], [], writer(now=NOW + timedelta(days=15)))) == 1


def test_every_field_of_a_notice() -> None:
    judged = judge(replace(failure(), key=key()), (), writer(), attended=False)
    assert judged.notice == Notice(
        id="id0",
        event=NoticeEvent.FAILED,
        host="host",
        site="prod",
        name="portal",
        command="rotate",
        reason="ServerUnreachable",
        exit=1,
        message="it failed",
        hint="do this",
        fingerprint="a" * 64,
        at=NOW,
        since=NOW,
    )
    ends = NOW + timedelta(days=1, hours=5)
    gone = NOW - timedelta(days=365)
    (client, _), (jwt, _), (past, _) = expiring(
        [
            Standing("prod", "", ends),
            Standing("prod", "never", None),
            Standing("prod", "portal", ends),
            Standing("prod", "about to go", NOW + timedelta(days=29), next_due=ends),
            Standing("other", "", gone),
        ],
        [],
        writer("verify"),
    )
    assert client == Notice(
        id="id0",
        event=NoticeEvent.EXPIRING,
        host="host",
        site="prod",
        name="",
        command="verify",
        reason="ClientCertificateEnds",
        exit=None,
        message="site prod: the client certificate ends in 1 day, on 2026-11-25 17:00 UTC: rotator cannot reach QRS after that",
        hint="export a new one in the QMC under Certificates, put it in place of the old one, then run rotator status",
        fingerprint="",
        at=NOW,
        ends=ends,
    )
    assert jwt == replace(
        client,
        id="id1",
        name="portal",
        reason="CertificateEnds",
        message="portal: the JWT certificate of the current key ends in 1 day, on 2026-11-25 17:00 UTC",
        hint="give it a new key: rotator rotate portal --now (this ends the sessions)",
    )
    assert past.message.startswith("site other: the client certificate ended on 2025-11-24 12:00 UTC: rotator")
    (now, _) = expiring([Standing("prod", "", NOW)], [], writer())[0]
    assert "ended on" in now.message
    assert (
        expiring([Standing("prod", "", ends), Standing("prod", "portal", ends)], [WARNED], writer())[0][1].name
        == "portal"
    )


WARNED = Warned(Kind.CLIENT, "prod", "", NOW + timedelta(days=1, hours=5), 7)


def test_a_test_notice() -> None:
    assert notices.test(writer("notify")) == Notice(
        id="id0",
        event=NoticeEvent.TEST,
        host="host",
        site="",
        name="",
        command="notify",
        reason="Test",
        exit=None,
        message="a test: notices of rotator on host arrive here",
        hint="there is nothing to do",
        fingerprint="",
        at=NOW,
    )


def test_the_longest_text_is_whole() -> None:
    assert notices.plain("x" * notices.LONGEST) == "x" * notices.LONGEST


def test_texts_are_one_printable_line_and_end() -> None:
    told = judge(replace(failure(), message="a\nb\x00c\x1b[31m" + "x" * 9000), (), writer(), attended=False).notice
    assert told is not None
    assert told.message.startswith("a b c [31mxxx")
    assert len(told.message) == notices.LONGEST + 1


def test_an_undo_that_failed_is_told_in_full() -> None:
    """Both causes, and what to do by hand."""
    long = "portal: the new key 0123456789ab failed its test login: " + "x" * 900 + "; and putting the old back failed"
    told = judge(replace(failure("UndoFailed", 4), message=long, hint="h" * 900), (), writer(), attended=False).notice
    assert told is not None
    assert (told.message, told.hint, told.exit) == (long, "h" * 900, 4)


def test_a_unit_that_died_as_the_result_of_a_run() -> None:
    monitor = {"MONITOR_EXIT_CODE": "exited", "MONITOR_EXIT_STATUS": "255", "MONITOR_SERVICE_RESULT": "exit-code"}
    assert notices.unit_failed("rotator-rotate@portal.service", "prod", "portal", monitor) == Result(
        "prod",
        "portal",
        Outcome.FAILED,
        "UnitFailed",
        "portal: the unit rotator-rotate@portal.service failed: its ExecCondition, `rotator due`, ended with an error "
        "(status 255)",
        "see why: rotator due portal; journalctl -u rotator-rotate@portal.service -e shows what it said",
        exit_status=1,
    )
    nameless = notices.unit_failed("rotator.service", "", "", {})
    assert nameless.message == "the unit rotator.service failed: it ended without a word"
    assert (nameless.hint or "").startswith("the next run finishes or undoes what was under way; rotator status")


@pytest.mark.parametrize(
    ("monitor", "says"),
    [
        ({"MONITOR_EXIT_CODE": "killed", "MONITOR_EXIT_STATUS": "KILL", "MONITOR_SERVICE_RESULT": "oom-kill"}, "KILL"),
        ({"MONITOR_EXIT_CODE": "killed", "MONITOR_EXIT_STATUS": "KILL", "MONITOR_SERVICE_RESULT": "oom-kill"}, "(oom-"),
        ({"MONITOR_EXIT_CODE": "exited", "MONITOR_EXIT_STATUS": "255"}, "ExecCondition"),
        ({"MONITOR_EXIT_CODE": "exited", "MONITOR_EXIT_STATUS": "203"}, "ended with status 203"),
        ({"MONITOR_EXIT_CODE": "dumped", "MONITOR_EXIT_STATUS": "ABRT"}, "it ended by dumped ABRT"),
        ({}, "without a word"),
    ],
)
def test_a_unit_that_died_is_told_as_systemd_tells_it(monitor: dict[str, str], says: str) -> None:
    result = notices.unit_failed("rotator-rotate@portal.service", "prod", "portal", monitor)
    assert says in result.message
    assert "journalctl -u rotator-rotate@portal.service" in (result.hint or "")
    assert judge(result, (), writer("notify"), attended=False).notice is not None


@pytest.mark.parametrize(
    ("reason", "over"),
    [
        ("LookFailed", True),
        ("LookKeyStoreUnavailable", True),
        ("KeyStoreUnavailable", False),  # a run told it: perhaps it could not write
        ("ServerUnreachable", False),
        ("RunFailed", False),
        ("RunTooLong", False),
        ("NotStarted", False),
        ("UnitFailed", False),
        ("Undone", False),
        ("PersonNeeded", False),
    ],
)
def test_a_look_that_succeeds_ends_what_looks_have_told_and_nothing_else(reason: str, over: bool) -> None:
    judged = judge(notices.looks_again("prod", "portal"), (trouble(reason),), writer("notify"), attended=False)
    assert (judged.notice is not None) is over
    both = (trouble(reason), trouble("LookFailed"))
    judged = judge(notices.looks_again("prod", "portal"), both, writer("notify"), attended=False)
    assert judged.troubles == (() if over else both)


@pytest.mark.parametrize("reason", ["RunFailed", "RunTooLong", "NotStarted", "LookFailed", "LookSecretUnavailable"])
def test_what_the_daemon_saw_is_a_failure_that_a_run_which_succeeds_ends(reason: str) -> None:
    result = notices.seen("prod", "portal", reason, "it was killed", "see why")
    judged = judge(result, (), writer("notify"), attended=False)
    assert judged.notice is not None
    told = (judged.notice.event, judged.notice.reason, judged.notice.message, judged.notice.hint, judged.notice.exit)
    assert told == (NoticeEvent.FAILED, reason, "it was killed", "see why", 1)
    assert judge(success(), judged.troubles, writer(), attended=False).troubles == ()
    assert judge(success(Outcome.UNCHANGED, "NotYet"), judged.troubles, writer(), attended=False).troubles == ()


@pytest.mark.parametrize("reason", ["", "Undone", "Look me up", "Look\n", "UnitFailed"])
def test_nothing_else_can_be_told_in_the_daemons_name(reason: str) -> None:
    with pytest.raises(UsageError, match="is none of the daemon's"):
        notices.seen("prod", "portal", reason, "m", None)


def test_the_reasons_of_the_daemon_are_the_names_of_its_errors() -> None:
    for error in (RunFailed("m"), RunTooLong("m"), NotStarted("m"), LookFailed("m"), LookFailed("m", cause="TlsError")):
        assert notices.seen("prod", "portal", error.reason, error.message, None).reason == error.reason
    assert {kind.__name__ for kind in SeenFromOutside.__subclasses__()} == {*notices._OF_RUNS, "LookFailed"}


def test_the_next_start_looks_past_schedule_retry_and_window() -> None:
    from rotator.model import AnyTime

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
    from pathlib import Path

    from rotator.config.schedule import windows

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
