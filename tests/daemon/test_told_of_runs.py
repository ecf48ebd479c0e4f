"""What the daemon has people told of runs: of those that could not speak themselves, and of those that never began."""

import pytest
from simulated import ends_with, hangs
from telling_daemon import FIRST, HOUR, MINUTE, PORTAL, SECOND, due_now, options, overs, simulation, troubles

from rotator.daemon.rotations import GRACE
from rotator.planning.starts import time_limit


@pytest.mark.parametrize(
    ("status", "reason"),
    [(-9, "RunFailed"), (-11, "RunFailed"), (99, "RunFailed"), (2, "RunFailed"), (130, "RunFailed")],
)
def test_a_run_that_could_not_speak_is_told(status: int, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = due_now(monkeypatch, ends_with(status))
    run.pass_time(12 * SECOND)
    assert run.notices[0] == FIRST
    assert troubles(run) == [("portal", reason)]
    said = options(run.notices[1])
    assert said["trouble"].startswith("portal: rotate was killed by signal" if status < 0 else "portal: rotate ended")
    assert ("journalctl -k" in said["hint"]) is (status == -9)


@pytest.mark.parametrize("status", [0, 1, 3, 4, 5, 78, -15])
def test_a_run_that_spoke_or_that_was_asked_to_stop_is_not_told_twice(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = due_now(monkeypatch, ends_with(status))
    run.pass_time(HOUR)
    assert len(run.starts) > 1
    assert troubles(run) == []


def test_every_run_that_is_killed_is_brought_to_the_outbox_which_knows_what_is_news(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = due_now(monkeypatch, ends_with(-9))
    run.pass_time(5 * HOUR)
    assert len(troubles(run)) == len(run.starts) > 5


def test_a_run_beyond_its_limit_is_told_when_it_is_asked_and_not_again_when_it_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = due_now(monkeypatch, hangs)
    limit = time_limit(PORTAL)
    run.pass_time(limit)
    assert troubles(run) == []
    run.pass_time(MINUTE)
    assert troubles(run) == [("portal", "RunTooLong")]
    run.pass_time(GRACE)
    assert any("was killed by signal 9" in line for line in run.lines.all)
    assert not any("memory" in line for line in run.lines.all)
    assert troubles(run) == [("portal", "RunTooLong")]


def test_a_rotation_that_cannot_be_started_is_told_and_the_next_one_tells_how_it_went(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = simulation(monkeypatch, age=6 * HOUR, full=frozenset({"rotate"}))
    run.pass_time(HOUR)
    assert (troubles(run), overs(run)) == ([("portal", "NotStarted")], [FIRST])
    run.full = frozenset()
    run.pass_time(HOUR)
    assert len(run.starts) == 1
    assert overs(run) == [FIRST]
    run.full = frozenset({"rotate"})
    run.pass_time(6 * HOUR)
    assert len(troubles(run)) == 2
