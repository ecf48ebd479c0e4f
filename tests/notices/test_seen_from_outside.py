"""What systemd and the daemon saw of a run that could not tell it itself."""

import pytest
from results import success, trouble, writer

from rotator.errors import LookFailed, NotStarted, RunFailed, RunTooLong, SeenFromOutside, UsageError
from rotator.model import NoticeEvent, Outcome, Result
from rotator.planning import notices
from rotator.planning.notices import judge


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
