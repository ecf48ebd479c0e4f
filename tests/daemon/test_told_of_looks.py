"""What the daemon has people told of its looks at the keyring: that they fail, once it lasts, and its end."""

from dataclasses import replace

import pytest
from telling_daemon import FIRST, HOUR, MINUTE, OTHER, PORTAL, SECOND, locked, options, overs, simulation, troubles

from rotator.daemon.events import Reload
from rotator.daemon.looks import Look, read
from rotator.daemon.loop import LOOK_EVERY, Loaded
from rotator.daemon.notices import NAMES
from rotator.errors import LookFailed
from rotator.planning.due import Due, DueReason


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


def test_a_look_that_somebody_else_kills_is_not_told_as_a_keyring_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the kernel does for want of memory: nobody has to unlock anything then."""
    run = simulation(monkeypatch, keyring=lambda _: (-9, b"", b""))
    run.pass_time(HOUR)
    said = options(run.notices[-1])
    assert said["trouble"] == "the keyring could not be asked: `rotator due` was killed by signal 9"
    assert "memory had run out" in said["hint"]


def test_a_look_that_ends_without_a_word_when_it_is_late_gave_no_answer() -> None:
    """Windows has no signals: what is ended there has the status 1."""
    failure = read(1, b"", b"", late=True).failure
    assert failure is not None
    assert "gave no answer in time" in failure.message


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


def test_the_end_of_what_an_earlier_daemon_told_is_told_for_all_of_many(monkeypatch: pytest.MonkeyPatch) -> None:
    many = [replace(PORTAL, name=f"p{number}", prefix=f"p{number}") for number in range(NAMES + 7)]
    run = simulation(monkeypatch, *many)
    run.pass_time(MINUTE)
    said = [argument for notice in run.notices for argument in notice if argument != "--over"]
    assert sorted(said) == sorted(f"--name={made.name}" for made in many)
    assert len(run.notices) == 2


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


def test_a_look_that_saw_one_that_is_gone_by_now(monkeypatch: pytest.MonkeyPatch) -> None:
    run = simulation(monkeypatch, PORTAL, OTHER)
    run.pass_time(MINUTE)
    seen = locked("other")(run)
    run.keyring = lambda _: seen
    run.daemon.load = lambda: Loaded(run.config(), "text")
    for specs in ((PORTAL, OTHER), (PORTAL,)):
        run.specs = specs
        run.inbox.put(Reload())
        run.pass_time(0.2 * SECOND)
    run.pass_time(0.2 * SECOND)
    run.keyring = None
    run.pass_time(HOUR)
    assert "error" not in run.daemon.told()
