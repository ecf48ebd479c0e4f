"""What the daemon has people told of: what nobody else could, once it lasts, and its end; never at the cost of a rotation."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from simulated import Simulation, Work, ends_with, hangs
from values import key, ring, spec

from rotator.daemon.events import Reload, Shutdown
from rotator.daemon.looks import Look
from rotator.daemon.loop import LOOK_EVERY, Loaded
from rotator.daemon.notices import ATTEMPTS, LIMIT, MOST, NAMES
from rotator.daemon.rotations import GRACE
from rotator.errors import LookFailed
from rotator.model import AnyTime, Notify, ProxySpec, Rotation
from rotator.planning.due import Due, DueReason
from rotator.planning.notices import LONGEST
from rotator.planning.starts import time_limit


NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
PORTAL = spec(rotation=Rotation(every=5 * HOUR, windows=AnyTime()))
OTHER = replace(PORTAL, name="other", prefix="other", site="test")
HOOKS = Notify(hooks=Path("/etc/rotator/hooks.d"))
FIRST = ("--over", "--name=portal")
"""What is said after the first look, in case an earlier daemon told of a trouble."""


def simulation(
    monkeypatch: pytest.MonkeyPatch, *specs: ProxySpec, age: timedelta = HOUR, channels: Notify = HOOKS, **more: object
) -> Simulation:
    chosen = specs or (PORTAL,)
    rings = {made.name: ring(key(created=NOON - age)) for made in chosen}
    run = Simulation(chosen, NOON, rings, channels=channels, **more).patch(monkeypatch)  # type: ignore[arg-type]
    run.begin()
    return run


def due_now(monkeypatch: pytest.MonkeyPatch, work: Work, **more: object) -> Simulation:
    return simulation(monkeypatch, age=6 * HOUR, work={"portal": work}, **more)  # type: ignore[arg-type]


def options(notice: tuple[str, ...]) -> dict[str, str]:
    return dict(argument.removeprefix("--").partition("=")[::2] for argument in notice)


def troubles(run: Simulation) -> list[tuple[str, str]]:
    """Name and reason of each trouble that was said."""
    said = [options(notice) for notice in run.notices]
    return [(each.get("name", ""), each["reason"]) for each in said if "trouble" in each]


def overs(run: Simulation) -> list[tuple[str, ...]]:
    return [notice for notice in run.notices if "--over" in notice]


def locked(*names: str, message: str = "the keyring is locked") -> Callable[[Simulation], tuple[int, bytes, bytes]]:
    """A look that fails for these, and for nobody else."""

    def answer(run: Simulation) -> tuple[int, bytes, bytes]:
        keep, run.keyring = run.keyring, None
        _, out, err = run._looked()
        run.keyring = keep
        told = json.loads(out)
        error = {"reason": "KeyStoreUnavailable", "message": message, "hint": "unlock it"}
        told["results"] = [{"name": row["name"], **error} if row["name"] in names else row for row in told["results"]]
        told["errors"] = [error]
        return 255, json.dumps(told).encode(), err

    return answer


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
    assert troubles(run) == [("portal", "RunTooLong")]


def test_a_look_that_fails_once_or_twice_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, keyring=locked("portal"))
    run.pass_time(30 * SECOND)
    assert len(run.looks) == 2
    run.keyring = None
    run.pass_time(12 * HOUR)
    assert troubles(run) == []
    assert len(overs(run)) == 1


def test_a_look_that_goes_on_failing_is_told_once_again_after_a_day_and_so_is_its_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = simulation(monkeypatch, keyring=locked("portal"))
    run.pass_time(MINUTE)
    assert troubles(run) == [("portal", "LookKeyStoreUnavailable")]
    said = options(run.notices[-1])
    assert (said["trouble"], said["hint"]) == ("the keyring is locked", "unlock it")
    run.pass_time(23 * HOUR)
    assert len(troubles(run)) == 1
    run.pass_time(2 * HOUR)
    assert len(troubles(run)) == 2
    before = overs(run)
    run.keyring = None
    run.pass_time(LOOK_EVERY)
    assert overs(run)[len(before) :] == [FIRST]
    run.pass_time(12 * HOUR)
    assert len(overs(run)) == len(before) + 1
    run.keyring = locked("portal")
    run.pass_time(HOUR)
    assert len(troubles(run)) == 3, "after it was over it is a new trouble"
    run.keyring = None
    run.pass_time(LOOK_EVERY)
    assert overs(run)[len(before) + 1 :] == [FIRST]


def test_only_failures_in_a_row_count(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch)
    for _ in range(5):
        run.keyring = locked("portal")
        run.inbox.put(Reload())
        run.pass_time(SECOND)
        run.keyring = None
        run.inbox.put(Reload())
        run.pass_time(SECOND)
    assert (troubles(run), overs(run)) == ([], [FIRST])


def test_each_reason_of_a_look_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, keyring=locked("portal"))
    run.pass_time(HOUR)
    run.keyring = lambda _: (1, b"", b"ModuleNotFoundError: No module named 'rotator'\n")
    run.pass_time(HOUR)
    run.keyring = locked("portal")
    run.pass_time(HOUR)
    assert troubles(run) == [("portal", "LookKeyStoreUnavailable"), ("", "LookFailed")]
    assert "No module named" in options(run.notices[-1])["trouble"]


def test_a_keyring_that_hangs_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, keyring=lambda _: None)
    run.pass_time(HOUR)
    assert troubles(run) == [("", "LookFailed")]
    assert "gave no answer in time" in options(run.notices[-1])["trouble"]


def test_one_cause_for_all_is_told_once_and_those_of_one_virtual_proxy_by_its_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = simulation(monkeypatch, PORTAL, OTHER, keyring=locked("portal", "other"))
    run.pass_time(HOUR)
    assert (troubles(run), overs(run)) == ([("", "LookKeyStoreUnavailable")], [])
    run.keyring = locked("other")
    run.pass_time(HOUR)
    assert troubles(run)[1:] == [("other", "LookKeyStoreUnavailable")]
    assert overs(run) == [("--over", "--name=portal")]
    run.keyring = None
    run.pass_time(HOUR)
    assert overs(run)[1:] == [("--over", "--name=other")]


def test_different_causes_are_not_taken_for_one() -> None:
    errors = {name: LookFailed(f"{name}: no window", cause="ConfigError") for name in ("a", "b")}
    assert Look(failed=errors).troubles == errors
    assert Look(failed=errors).well == frozenset(), "the keyring may be to blame"
    assert Look().well == {""}
    same = dict.fromkeys(("a", "b"), errors["a"])
    assert set(Look(failed=same).troubles) == {""}
    found = {"c": Due(due=False, reason=DueReason.NO_KEY, message="")}
    assert Look(found, same).troubles == same, "the keyring answers"
    assert Look(found, same).well == {"", "c"}
    alone = {"a": errors["a"]}
    assert Look(failed=alone).troubles == alone
    assert Look(failure=errors["a"]).well == frozenset()


def test_the_end_of_what_an_earlier_daemon_told_is_told_for_all_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [replace(PORTAL, name=f"p{number}", prefix=f"p{number}") for number in range(NAMES + 7)]
    run = simulation(monkeypatch, *many)
    run.pass_time(MINUTE)
    said = [argument for notice in run.notices for argument in notice if argument != "--over"]
    assert sorted(said) == sorted(f"--name={made.name}" for made in many)
    assert len(run.notices) == 2


def test_without_a_channel_no_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    run = due_now(monkeypatch, ends_with(-9), channels=Notify())
    run.pass_time(HOUR)
    run.keyring = lambda _: None
    run.pass_time(HOUR)
    assert run.notices == []
    run.keyring, run.channels = None, HOOKS
    run.daemon.load = lambda: Loaded(run.config(), "text")
    run.inbox.put(Reload())
    run.pass_time(MINUTE)
    assert run.notices[0] == FIRST


def test_what_cannot_be_started_is_told_once_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, full=frozenset({"due"}))
    run.pass_time(20 * SECOND)
    assert troubles(run) == []
    run.pass_time(HOUR)
    assert troubles(run) == [("", "NotStarted")]
    assert "cannot be started: Resource temporarily unavailable" in options(run.notices[0])["trouble"]
    run.full = frozenset()
    run.pass_time(LOOK_EVERY)
    assert overs(run) == [FIRST]


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


def test_a_machine_without_room_for_anything_tells_it_when_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, full=frozenset({"due", "notify"}))
    run.pass_time(10 * MINUTE)
    assert run.notices == []
    assert len([line for line in run.lines.all if "rotator notify cannot be started" in line]) == 1
    run.full = frozenset()
    run.pass_time(HOUR)
    assert [options(notice).get("reason") for notice in run.notices] == ["NotStarted", None]


def test_a_notice_that_hangs_is_killed_and_delays_no_rotation(monkeypatch: pytest.MonkeyPatch) -> None:
    run = due_now(monkeypatch, ends_with(-9), telling=lambda _: (float("inf"), 0))
    run.pass_time(LIMIT)
    assert len(run.notices) == 1
    assert [start.steady - 1000 for start in run.starts][:3] == pytest.approx([0.3, 20.3, 55.3], abs=1)
    run.pass_time(MINUTE)
    assert run.notifying[0].killed
    assert any("`rotator notify` killed by signal 9" in line for line in run.lines.all)
    assert len(run.notices) == 2


def test_a_notice_that_cannot_be_ended_starves_neither_watchdog_nor_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, telling=lambda _: (float("inf"), 0))
    run.pass_time(SECOND)
    run.notifying[0].end = lambda _: None
    run.pass_time(HOUR)
    before = len(run.notify.all)
    run.pass_time(MINUTE)
    assert "WATCHDOG=1" in [message for _, message in run.notify.all[before:]]
    run.inbox.put(Shutdown("SIGTERM"))
    run.pass_time(SECOND)
    assert run.daemon.done


def test_a_notice_that_fails_is_tried_so_often_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, telling=lambda _: (1.0, 1))
    run.pass_time(12 * HOUR)
    assert run.notices == [FIRST] * ATTEMPTS
    assert len([line for line in run.lines.all if "ended with 1: rotator: error: no" in line]) == ATTEMPTS
    assert len([line for line in run.lines.all if "nobody was told by it" in line]) == 1


def test_one_that_cannot_be_started_neither(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, full=frozenset({"notify"}))
    run.pass_time(HOUR)
    assert not any("nobody was told by it" in line for line in run.lines.all), "not in a loop"
    run.pass_time(2 * HOUR)
    assert len([line for line in run.lines.all if "nobody was told by it" in line]) == 1


def test_what_waits_is_nothing_without_a_channel(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, telling=lambda _: (1.0, 1))
    run.pass_time(10 * SECOND)
    run.channels = Notify()
    run.daemon.load = lambda: Loaded(run.config(), "text")
    run.inbox.put(Reload())
    run.pass_time(HOUR)
    assert run.notices == [FIRST]


def test_what_one_channel_does_not_take_is_delivered_later_and_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = simulation(monkeypatch, keyring=locked("portal"), telling=lambda count: (1.0, 5 if count < 4 else 0))
    run.pass_time(HOUR)
    assert [bool(notice) for notice in run.notices] == [True, False, False, False]
    run.keyring = None
    run.pass_time(12 * HOUR)
    assert run.notices[4:] == [FIRST]


def test_a_new_notice_overtakes_a_delivery_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    run = due_now(monkeypatch, ends_with(-9), telling=lambda _: (1.0, 5))
    run.pass_time(22 * SECOND)
    assert run.notices[0] == FIRST
    assert troubles(run) == [("portal", "RunFailed")]
    assert len(run.notices) >= 2


def test_what_delivers_everything_leaves_nothing_to_deliver(monkeypatch: pytest.MonkeyPatch) -> None:
    run = due_now(monkeypatch, ends_with(-9), telling=lambda count: (1.0, 5 if count == 1 else 0))
    run.pass_time(MINUTE)
    assert run.notices[0] == FIRST
    assert len(troubles(run)) == len(run.notices) - 1 > 1


def test_a_stop_ends_the_notice_that_runs_and_begins_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    run = due_now(monkeypatch, hangs, telling=lambda _: (float("inf"), 0))
    run.pass_time(2 * SECOND)
    [(rotation, _)] = run.running
    run.inbox.put(Shutdown("SIGTERM"))
    run.pass_time(SECOND)
    assert run.notifying[0].killed
    assert (rotation.asked, run.daemon.done) == (1, False)
    rotation.kill()
    run.pass_time(MINUTE)
    assert run.daemon.done
    assert run.notices == [FIRST]


def test_words_that_wait_have_a_bound_and_so_have_their_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, telling=lambda _: (float("inf"), 0))
    run.pass_time(SECOND)
    for number in range(3 * MOST):
        run.daemon.notices.tell("portal", LookFailed(f"{number}\n" + "x" * 2 * LONGEST))
    run.daemon.notices.tell("portal", LookFailed(f"{number}\n" + "x" * 2 * LONGEST))
    words = run.daemon.notices._words
    assert len(words) == MOST
    assert words[0].arguments == FIRST, "the one that runs stays"
    assert words[-2].arguments[0].startswith(f"--trouble={3 * MOST - 2} x"), "the same once"
    assert max(len(argument) for word in words for argument in word.arguments) < LONGEST + 20


def test_a_virtual_proxy_that_is_gone_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    third = replace(PORTAL, name="third", prefix="third")
    run = simulation(monkeypatch, PORTAL, OTHER, third, keyring=locked("other"))
    run.pass_time(HOUR)
    run.specs = (PORTAL,)
    run.daemon.load = lambda: Loaded(run.config(), "text")
    run.inbox.put(Reload())
    run.keyring = None
    run.pass_time(HOUR)
    kept = run.daemon.notices
    assert {name for _, name in kept._row} | {key[1] for key in kept._again} | kept._well == {"", "portal"}
    assert troubles(run) == [("other", "LookKeyStoreUnavailable")]
