"""The main loop: what it tells people and systemd, and what it does about keyrings and children that hang."""

import json
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from simulated import Simulation, ends_with, fails, hangs, succeeds
from values import key, ring, spec

from rotator.daemon.events import Event, Reload, SchedulerFailed, Shutdown
from rotator.daemon.lines import Lines
from rotator.daemon.loop import LOOK_EVERY, LOOK_LIMIT, Loaded
from rotator.daemon.rotations import DEAD, GRACE, ending
from rotator.errors import ConfigError, ExitStatus, RotatorError
from rotator.model import AnyTime, ProxySpec, Rotation
from rotator.planning.starts import time_limit


NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PORTAL = spec(rotation=Rotation(every=5 * HOUR, windows=AnyTime()))


def simulation(
    monkeypatch: pytest.MonkeyPatch, *specs: ProxySpec, age: timedelta = 6 * HOUR, **more: object
) -> Simulation:
    chosen = specs or (PORTAL,)
    rings = {made.name: ring(key(created=NOON - age)) for made in chosen}
    run = Simulation(chosen, NOON, rings, **more).patch(monkeypatch)  # type: ignore[arg-type]
    run.begin()
    return run


def messages(run: Simulation) -> list[str]:
    return [message for _, message in run.manager.all if message != "WATCHDOG=1"]


def fed(run: Simulation) -> int:
    return [message for _, message in run.manager.all].count("WATCHDOG=1")


def test_ready_once_the_first_plan_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, age=HOUR)
    assert "READY=1" not in messages(run)
    run.pass_time(MINUTE)
    assert [line for line in messages(run) if line.startswith(("READY", "STATUS"))] == [
        "STATUS=nothing is planned",
        "READY=1",
        "STATUS=next: portal 2026-11-23 16:00 UTC",
    ]
    assert run.lines.all == ["<6>rotator: the daemon runs: next: portal 2026-11-23 16:00 UTC"]


def test_the_status_tells_what_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch)
    run.pass_time(10 * timedelta(seconds=1))
    assert run.daemon.told() == "rotating portal"
    run.pass_time(MINUTE)
    assert run.daemon.told() == "next: portal 2026-11-23 17:00 UTC"


def hung(_: Simulation) -> None:
    return None


def test_a_keyring_that_hangs_hangs_a_child_and_not_the_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, keyring=hung)
    run.pass_time(3 * HOUR)
    assert "READY=1" in messages(run)
    assert len([line for line in run.lines.all if "gave no answer in time" in line]) == 1
    gaps = [later - earlier for earlier, later in zip(run.looks, run.looks[1:], strict=False)]
    assert gaps == sorted(gaps)
    assert gaps[0] >= LOOK_LIMIT.total_seconds()
    assert gaps[-1] <= (LOOK_EVERY + 2 * LOOK_LIMIT).total_seconds()
    assert fed(run) >= 3 * 60 * 3
    run.keyring = None
    run.pass_time(LOOK_EVERY + 2 * LOOK_LIMIT)
    assert [start.name for start in run.starts] == ["portal"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((255, b"", b"rotator: error: the disk is gone\n"), "ended with 255: rotator: error: the disk is gone"),
        ((0, b"[]", b""), "`rotator due` ended with 0"),
        ((0, b'{"results": [{}], "errors": []}', b""), "`rotator due` ended with 0"),
        (
            (255, json.dumps({"results": [], "errors": [{"message": "no keyring", "hint": "unlock"}]}).encode(), b""),
            "no keyring",
        ),
    ],
)
def test_a_look_that_fails_is_told_once(
    answer: tuple[int, bytes, bytes], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = simulation(monkeypatch, keyring=lambda _: answer)
    run.pass_time(HOUR)
    assert len([line for line in run.lines.all if line.startswith("<3>rotator: error:") and said in line]) == 1
    assert run.starts == []
    assert 8 < len(run.looks) < 14, "sooner than usual, but not in a loop"
    run.keyring = None
    run.pass_time(LOOK_EVERY)
    assert len(run.starts) == 1


def test_one_virtual_proxy_that_fails_does_not_hurt_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(PORTAL, name="other", prefix="other", rotation=Rotation(every=HOUR, windows=()))

    def half(run: Simulation) -> tuple[int, bytes, bytes]:
        run.keyring = None
        _status, out, err = run._looked()
        run.keyring = half
        told = json.loads(out)
        message = "proxy.other.rotation: no `window` is set"
        told["results"][1] = {"name": "other", "reason": "ConfigError", "message": message, "hint": "set one"}
        told["errors"] = [{"message": message, "hint": "set one"}]
        return 255, json.dumps(told).encode(), err

    run = simulation(monkeypatch, PORTAL, other, keyring=half)
    run.pass_time(12 * HOUR)
    assert [start.name for start in run.starts] == ["portal"] * 3
    assert len([line for line in run.lines.all if "no `window` is set" in line]) == 1
    assert run.daemon.told().endswith("; 1 error, told above")


@pytest.mark.parametrize(
    ("status", "priority", "said"),
    [
        (0, 6, "portal: rotate ended with 0: done"),
        (3, 6, "portal: rotate ended with 3: nothing was changed; it is tried again"),
        (1, 3, "portal: rotate ended with 1: failed; the key that was current still logs in"),
        (4, 3, "portal: rotate ended with 4: a person is needed"),
        (5, 3, "portal: rotate ended with 5: rotated and tested, but handing the key over or a notice failed"),
        (78, 3, "portal: rotate ended with 78: the configuration does not allow it"),
        (-11, 3, "portal: rotate was killed by signal 11; the next run finishes or undoes what it has begun"),
        (99, 3, "portal: rotate ended with 99"),
    ],
)
def test_endings_are_told_with_their_meaning(
    status: int, priority: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = simulation(monkeypatch, work={"portal": ends_with(status)})
    run.pass_time(10 * timedelta(seconds=1))
    [line] = [line for line in run.lines.all if "rotate ended" in line or "was killed" in line]
    error = "error: " if priority == 3 else ""
    assert line == f"<{priority}>rotator: {error}{said}"


def test_every_exit_status_has_a_meaning() -> None:
    assert all(": " in ending(status) for status in ExitStatus)


def test_a_child_beyond_its_limit_is_asked_then_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, work={"portal": hangs})
    limit = time_limit(PORTAL)
    run.pass_time(limit)
    [(process, _)] = run.running
    assert (process.asked, process.killed) == (0, False)
    run.pass_time(MINUTE)
    assert (process.asked, process.killed) == (1, False)
    assert any(line.startswith("<3>") and f"takes longer than {limit}" in line for line in run.lines.all)
    run.pass_time(GRACE)
    assert (process.asked, process.killed) == (1, True)
    assert any("was killed by signal 9" in line for line in run.lines.all)
    run.work = {}
    run.pass_time(2 * MINUTE)
    assert [start.problem for start in run.starts] == ["", ""]


def test_the_watchdog_is_not_fed_while_a_child_outlives_its_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, work={"portal": hangs})
    run.pass_time(MINUTE)
    [(process, _)] = run.running
    process.end = lambda _: None
    run.pass_time(time_limit(PORTAL) + GRACE + DEAD)
    assert process.killed
    before = fed(run)
    run.pass_time(10 * MINUTE)
    assert fed(run) == before


def test_the_watchdog_is_not_fed_when_the_scheduler_is_dead(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, age=HOUR)
    run.pass_time(MINUTE)
    assert fed(run) >= 4
    monkeypatch.setattr(run.schedule._scheduler, "_process_jobs", lambda: None)
    run.pass_time(MINUTE)
    before, steps = fed(run), list[Event | None]()
    step = run.daemon.step

    def counted(event: Event | None) -> None:
        steps.append(event)
        step(event)

    monkeypatch.setattr(run.daemon, "step", counted)
    run.pass_time(10 * MINUTE)
    assert fed(run) == before
    assert len(steps) >= 30, "the main loop goes on"


def test_the_watchdog_is_not_fed_when_the_main_loop_is_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, age=HOUR)
    run.pass_time(MINUTE)
    before = fed(run)
    with monkeypatch.context() as stuck:
        stuck.setattr(run.daemon, "step", lambda _: None)
        run.pass_time(10 * MINUTE)
    assert fed(run) == before


def broken() -> Loaded:
    raise ConfigError("r.toml: 1 mistake", problems=("r.toml:3: proxy.portal.site is missing",), hint="mend it")


def test_a_reload_takes_the_new_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, age=HOUR)
    run.pass_time(MINUTE)
    second = replace(PORTAL, name="second", prefix="second")
    run.specs = (second,)
    run.rings["second"] = ring(key(created=NOON - 9 * HOUR))
    run.daemon.load = lambda: Loaded(run.config(), "other text")
    run.inbox.put(Reload())
    run.pass_time(MINUTE)
    assert [start.name for start in run.starts] == ["second"]
    assert set(run.schedule.times()) == {"beat", "look", "rotate second"}
    told = messages(run)
    at = next(index for index, message in enumerate(told) if message.startswith("RELOADING=1\nMONOTONIC_USEC="))
    assert "READY=1" in told[at:]


def test_a_broken_configuration_is_told_and_the_old_one_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, age=4 * HOUR)
    run.pass_time(MINUTE)
    run.daemon.load = broken
    run.inbox.put(Reload())
    run.pass_time(2 * HOUR)
    assert [line for line in run.lines.all if "<3>" in line or "<4>" in line] == [
        "<3>rotator: error: r.toml:3: proxy.portal.site is missing",
        "<3>rotator: hint: mend it",
        "<4>rotator: the configuration that was read before stays in force",
    ]
    assert messages(run).count("READY=1") == 2
    assert [start.name for start in run.starts] == ["portal"]


def test_a_stop_waits_for_the_rotation_and_asks_for_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch)
    run.pass_time(10 * timedelta(seconds=1))
    [(process, _)] = run.running
    run.inbox.put(Shutdown("SIGTERM"))
    run.inbox.put(Shutdown("SIGTERM"))
    run.pass_time(10 * timedelta(seconds=1))
    assert process.asked == 1
    assert not run.daemon.done
    told = messages(run)
    assert told.count("STOPPING=1") == 1
    assert "EXTEND_TIMEOUT_USEC=60000000" in told
    assert "STATUS=stopping; waiting for portal" in told
    run.pass_time(MINUTE)
    assert run.daemon.done
    assert len(run.starts) == 1


def test_a_stop_ends_a_look_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, keyring=hung)
    run.pass_time(timedelta(seconds=1))
    run.inbox.put(Shutdown("SIGINT"))
    run.inbox.put(Reload())
    run.pass_time(timedelta(seconds=1))
    assert run.daemon.done
    assert run.lines.all == ["<6>rotator: SIGINT: stopping"]


def test_a_machine_without_room_for_a_process_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, age=HOUR)
    run.pass_time(MINUTE)

    def full(*_: str, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    start, run.daemon.starter = run.daemon.starter, type("Full", (), {"start": staticmethod(full)})()
    run.pass_time(5 * HOUR)
    assert len([line for line in run.lines.all if "cannot be started: Resource temporarily" in line]) == 1
    run.daemon.starter = start
    run.pass_time(LOOK_EVERY + MINUTE)
    assert len(run.starts) == 1


def test_what_the_scheduler_cannot_do_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, age=HOUR)
    run.inbox.put(SchedulerFailed("the alarm beat did not ring"))
    run.pass_time(MINUTE)
    assert "<3>rotator: error: the alarm beat did not ring" in run.lines.all


def test_a_rotation_that_ends_well_forgets_the_failures_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, work={"portal": fails})
    run.pass_time(20 * MINUTE)
    assert len(run.starts) == 2
    run.work = {"portal": succeeds}
    run.pass_time(HOUR)
    assert len(run.starts) == 3
    assert run.daemon.rotations._pauses == {}


def test_what_happens_during_a_look_is_looked_at_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, age=HOUR)
    run.pass_time(timedelta(seconds=0.1))
    run.inbox.put(Reload())
    run.inbox.put(Reload())
    run.pass_time(MINUTE)
    assert len(run.looks) == 2


def test_a_daemon_whose_standard_error_is_closed_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    lines = Lines({"JOURNAL_STREAM": "1:2"})
    lines.info("the daemon runs")
    lines.error(RotatorError("trouble"))
