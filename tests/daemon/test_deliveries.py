"""The process that brings notices to people: it hangs, fails, waits or has no room, and no rotation is the worse for it."""

import pytest
from simulated import ends_with, hangs
from telling_daemon import FIRST, HOOKS, HOUR, MINUTE, SECOND, due_now, locked, options, simulation, troubles

from rotator.daemon.events import Reload, Shutdown
from rotator.daemon.loop import Loaded
from rotator.daemon.notices import ATTEMPTS, LIMIT, MOST
from rotator.errors import LookFailed
from rotator.model import Notify
from rotator.planning.notices import LONGEST


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
    before = len(run.manager.all)
    run.pass_time(MINUTE)
    assert "WATCHDOG=1" in [message for _, message in run.manager.all[before:]]
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
