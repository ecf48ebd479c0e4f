"""Words for people: one thing and several, what is not due, what a dry run would do."""

import subprocess

import pytest
from daemon_process import age
from portal_user import login, token
from sandbox_process import ROTATOR, Sandbox

from rotator.model import counted


@pytest.mark.parametrize(
    ("number", "names", "said"),
    [
        (0, ("key",), "0 keys"),
        (1, ("key",), "1 key"),
        (2, ("key",), "2 keys"),
        (1, ("proxy", "proxies"), "1 proxy"),
        (2, ("proxy", "proxies"), "2 proxies"),
    ],
)
def test_one_thing_and_several(number: int, names: tuple[str, ...], said: str) -> None:
    assert counted(number, *names) == said


def test_one_of_anything_is_not_said_as_several(portal: Sandbox) -> None:
    first = portal.rotator("doctor").out
    said = portal.rotator("-v", "history").out + portal.rotator("keys", "prune").out
    assert "the journal is whole, 1 run\n" in first
    said += portal.rotator("release", "portal").out
    assert ", 1 key kept" in said
    assert "portal: released: 1 key deleted here" in said
    assert " 1 requests" not in said
    assert "  1 request  " in said


def test_what_is_not_due_is_told_so(portal: Sandbox) -> None:
    ended = portal.rotator("due")
    assert ended.status == 1
    assert ended.out.startswith("portal: not due: the key ")
    assert portal.rotator("due", "--json").result["outcome"] == "unchanged"
    age(portal)
    ended = portal.rotator("due")
    assert ended.status == 0
    assert ended.out.startswith("portal: due: ")


def test_a_dry_run_says_what_would_be_done_and_whom_it_would_interrupt(portal: Sandbox) -> None:
    login(portal, token(portal))
    first, second = (proxy["host"] for proxy in portal.ready["proxies"])
    restarts = f"{first} restarts (1 session ends), {second} restarts (0 sessions end)"
    dry = ("rotate", "--now", "--dry-run")
    assert f"portal: planned: would make a key and put it in place: {restarts}\n" in portal.rotator(*dry).out
    untouched = "the virtual proxy stays as it is, and no proxy restarts"
    said = portal.rotator("rotate", "--prepare", "--dry-run")
    assert f"portal: planned: would make a key and store it as pending; {untouched}\n" in said.out
    assert portal.rotator("rotate", "--prepare", "--dry-run", "--json").result["cuts"] == []
    prepared = portal.rotator("rotate", "--prepare", "--json").result["fingerprint"][:12]
    assert f"would put the prepared key {prepared} in place: {restarts}" in portal.rotator(*dry).out
    assert f"would keep the prepared key {prepared}; {untouched}" in portal.rotator(*dry, "--prepare").out
    portal.fault("reset@qrs:PUT#*")
    assert portal.rotator("rotate", "--now").status == 1
    portal.control("DELETE", "/faults")
    assert f"would put the key of the unfinished rotation in place: {restarts}" in portal.rotator(*dry).out


def test_a_run_that_was_killed_is_told_as_cut_short_and_one_under_way_as_open(portal: Sandbox) -> None:
    portal.fault("slow=60@qrs:PUT#1")
    command = (*ROTATOR, "--config", str(portal.config), "rotate", "--now")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        portal.wait_held(run)
        [head] = [line for line in portal.rotator("history").out.splitlines() if " rotate by " in line]
        assert ": open  (no end, " in head
        run.kill()
    said = portal.rotator("history", "--json").result["runs"][0]
    made = sum(step["requests"] for step in said["steps"] if step["kind"] == "step")
    assert made > 0
    assert (said["requests"], said["sessions_cut"]) == (made, None)
    [head] = [line for line in portal.rotator("history").out.splitlines() if " rotate by " in line]
    assert f": cut short  (no end, {made} requests)" in head
    portal.control("DELETE", "/faults")
    assert portal.rotator("rotate", "--now").status == 0
    assert ": interrupted  (no end, " in portal.rotator("history").out
