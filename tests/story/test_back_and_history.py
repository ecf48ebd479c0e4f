"""Back to the previous key, and what is told of it all afterwards."""

import json
import sqlite3
from contextlib import closing
from typing import Any

from sandbox_process import Sandbox


def test_rollback_goes_back_and_a_second_one_forward_again(portal: Sandbox) -> None:
    old = portal.rotator("keys", "list", "--json").result["fingerprint"]
    nothing = portal.rotator("rollback", "portal")
    assert nothing.status == 1
    assert "no previous key" in nothing.err
    new = portal.rotator("rotate", "--now", "--json").result["fingerprint"]
    back = portal.rotator("rollback", "portal", "--json")
    assert (back.status, back.result["outcome"], back.result["fingerprint"]) == (0, "rolled-back", old)
    assert "unattended runs leave it so until" in back.result["message"]
    assert portal.rotator("verify").status == 0
    again = portal.rotator("rollback", "portal", "--json")
    assert (again.status, again.result["fingerprint"]) == (0, new)


def test_history_tells_each_run_with_its_steps(portal: Sandbox) -> None:
    portal.fault("stuck=rim1.localhost")
    assert portal.rotator("rotate", "--now").status == 1
    portal.control("DELETE", "/faults")
    assert portal.rotator("rotate", "--now").status == 0
    told = portal.rotator("history", "portal", "--json").result["runs"]
    assert [(run["command"], run["outcome"], run["exit"]) for run in told] == [
        ("rotate", "rotated", 0),
        ("rotate", "failed", 1),
        ("create-proxy", "created", 0),
    ]
    steps = [event["step"] for event in told[0]["steps"] if event["kind"] == "step"]
    assert steps == ["look", "create", "set", "test", "finish"]
    assert "undo" in [event["step"] for event in told[1]["steps"]]
    assert told[1]["reason"] == "Undone"
    assert all(run["requests"] > 0 and run["seconds"] > 0 and run["started_by"] for run in told)
    assert "eyJ" not in json.dumps(told)
    shown = portal.rotator("history", "portal").out
    assert "rotated" in shown
    assert "Undone: portal: the new key" in shown


def steps(portal: Sandbox) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The newest run, and its steps."""
    run = portal.rotator("history", "portal", "--json").result["runs"][0]
    return run, [event for event in run["steps"] if event["kind"] == "step"]


def test_the_step_that_failed_says_so(portal: Sandbox) -> None:
    portal.fault("status=503@proxy#*")
    assert portal.rotator("rotate", "--now").status == 1
    run, [look] = steps(portal)
    assert (look["step"], look["outcome"], look["requests"]) == ("look", "VerificationFailed", run["requests"])
    assert portal.rotator("create-proxy", "--yes").status == 1
    run, [look, tested] = steps(portal)
    assert (look["step"], look["outcome"]) == ("look", "done")
    assert (tested["step"], tested["outcome"]) == ("test", "VerificationFailed")
    assert look["requests"] + tested["requests"] == run["requests"]
    portal.control("DELETE", "/faults")
    portal.fault("stuck=rim1.localhost")
    assert portal.rotator("rotate", "--now").status == 1
    run, found = steps(portal)
    assert [(step["step"], step["outcome"]) for step in found[-2:]] == [
        ("test", "VerificationFailed"),
        ("undo", "done"),
    ]


def test_nearly_every_request_of_a_run_belongs_to_a_step(portal: Sandbox) -> None:
    # Set up by the fixture, so that this is its creation.
    run, found = steps(portal)
    assert run["command"] == "create-proxy"
    assert [step["step"] for step in found] == ["look", "create", "set", "link", "test", "finish"]
    assert sum(step["requests"] for step in found) == run["requests"]
    for command in (("rotate", "--now"), ("rollback", "portal"), ("verify",), ("create-proxy", "--yes"), ("recover",)):
        assert portal.rotator(*command).status == 0, command
        run, found = steps(portal)
        assert run["command"] == command[0]
        # After its PUT a rotation asks once where the virtual proxy is linked now.
        assert sum(step["requests"] for step in found) >= run["requests"] - 1, (command, run)


def test_a_journal_of_a_newer_rotator_is_refused(portal: Sandbox) -> None:
    with closing(sqlite3.connect(portal.folder / "state" / "journal.sqlite")) as database:
        database.execute("PRAGMA user_version = 99")
    ended = portal.rotator("rotate", "--now", "--json")
    assert (ended.status, ended.result["reason"]) == (1, "JournalError")
    assert "upgrade rotator" in ended.err
    assert portal.rotator("history").status == 1
