"""SIGTERM at each request: a run stops with nothing changed, or finishes or undoes what it has begun, and says so."""

import signal
import subprocess
from collections.abc import Sequence

import pytest
from daemon_process import PATIENCE, age
from sampling import sample
from sandbox_process import ROTATOR, Ended, Sandbox


def stopped_at(
    sandbox: Sandbox, number: int, *command: str, signals: Sequence[signal.Signals] = (signal.SIGTERM,)
) -> Ended | None:
    """Send signals while the sandbox holds the request of this number back; None where it made fewer."""
    sandbox.control("DELETE", "/faults")
    sandbox.forget_requests()
    sandbox.fault(f"slow=0.4@*#{number}")
    process = subprocess.Popen(
        (*ROTATOR, "--config", str(sandbox.config), *command),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    struck = sandbox.held_or_ended(process)
    for one in signals if struck else ():
        process.send_signal(one)
    out, err = process.communicate(timeout=PATIENCE)
    return Ended(process.returncode, out, err) if struck else None


def changes(sandbox: Sandbox) -> int:
    return len(sandbox.requests("qrs", "PUT", "POST", "DELETE"))


def fingerprint(sandbox: Sandbox) -> str:
    return str(sandbox.rotator("keys", "list", "--json").result["fingerprint"])


REQUESTS = range(1, 26)
"""Those of a rotation on two proxies: at the 15th the intent is written already, the 16th is the PUT."""


def test_a_rotation_stops_in_time_or_goes_on_to_its_end(portal: Sandbox, pytestconfig: pytest.Config) -> None:
    statuses = []
    for number in sorted({2, 15, 16, *sample(pytestconfig, "stops", REQUESTS, 2)}):
        before = fingerprint(portal)
        ended = stopped_at(portal, number, "rotate", "--now")
        assert ended is not None, number
        statuses.append(ended.status)
        if ended.status == 3:
            assert "portal: stopped by SIGTERM; the server was not changed" in ended.err, number
            assert "hint: what was due still is" in ended.err
            assert (changes(portal), fingerprint(portal)) == (0, before), number
        else:
            assert ended.status == 0, (number, ended.err)
            assert changes(portal) >= 1, number
            assert fingerprint(portal) != before, number
            assert "SIGTERM: the change under way is finished or undone first" in ended.err, number
        assert portal.rotator("due").status == 1, (number, "nothing is left open")
    assert statuses == sorted(statuses, reverse=True), "once it has begun it does not stop any more"
    assert {0, 3} <= set(statuses)


def test_a_stop_while_the_new_key_is_tested_lets_it_be_undone(portal: Sandbox) -> None:
    before = fingerprint(portal)
    [host] = {proxy["host"] for proxy in portal.ready["proxies"][:1]}
    portal.fault(f"stuck={host}")
    portal.fault("slow=0.4@qrs:PUT#1")
    process = subprocess.Popen(
        (*ROTATOR, "--config", str(portal.config), "rotate", "--now"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    portal.wait_held(process)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1, err
    assert "undone: the certificate that was there is back" in err
    portal.control("DELETE", "/faults")
    assert fingerprint(portal) == before
    assert portal.rotator("verify").status == 0


def test_asking_again_changes_nothing(portal: Sandbox) -> None:
    portal.forget_requests()
    assert portal.rotator("rotate", "--now").status == 0
    put = [entry["method"] for entry in portal.control("GET", "/requests")].index("PUT") + 1
    again = fingerprint(portal)
    ended = stopped_at(portal, put, "rotate", "--now", signals=[signal.SIGTERM] * 5)
    assert ended is not None
    assert ended.status == 0
    assert ended.err.count("finished or undone first") == 1
    assert fingerprint(portal) != again
    # Ctrl-C once is put off in the same way; the second time it is meant, and the next run goes on from there.
    ended = stopped_at(portal, put, "rotate", "--now", signals=[signal.SIGINT])
    assert ended is not None
    assert (ended.status, ended.err.count("SIGINT: the change under way")) == (0, 1)
    ended = stopped_at(portal, put, "rotate", "--now", signals=[signal.SIGINT, signal.SIGINT])
    assert ended is not None
    assert ended.status in (0, 130)
    assert portal.rotator("recover").status == 0
    assert portal.rotator("verify").status == 0


def test_ctrl_c_before_anything_was_sent_ends_at_once(portal: Sandbox) -> None:
    ended = stopped_at(portal, 1, "rotate", "--now", signals=[signal.SIGINT])
    assert ended is not None
    assert ended.status == 130
    assert ended.err.endswith("rotator: interrupted; whatever was begun is finished or undone by the next run\n")
    assert changes(portal) == 0


def test_of_several_virtual_proxies_the_one_begun_is_finished_and_no_other_is_begun(portal: Sandbox) -> None:
    text = portal.config.read_text()
    portal.config.write_text(
        f'{text}\n[proxy.second]\nsite = "sandbox"\nprefix = "second"\n[proxy.second.rotation]\nwindow = ["any"]\n'
    )
    assert portal.rotator("create-proxy", "--yes").status == 0
    age(portal)
    portal.fault("slow=0.4@qrs:PUT#1")
    process = subprocess.Popen(
        (*ROTATOR, "--config", str(portal.config), "rotate", "--all"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    portal.wait_held(process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 3
    assert "portal: rotated" in out
    assert "second: stopped by SIGTERM; the server was not changed" in err


def test_create_proxy_stops_in_time_or_goes_on_to_its_end(sandbox: Sandbox) -> None:
    statuses = []
    for number in (2, 5, 8, 11):
        ended = stopped_at(sandbox, number, "create-proxy", "--yes")
        assert ended is not None, number
        statuses.append(ended.status)
        assert (ended.status == 3) == (changes(sandbox) == 0), (number, ended.err)
        if ended.status == 0:
            break
    assert {0, 3} == set(statuses)
    assert sandbox.rotator("verify").status == 0


def test_rollback_stops_in_time_or_goes_on_to_its_end(portal: Sandbox) -> None:
    assert portal.rotator("rotate", "--now").status == 0
    statuses = []
    for number in (1, 3, 6, 9):
        ended = stopped_at(portal, number, "rollback", "portal", "--yes")
        assert ended is not None
        statuses.append(ended.status)
        assert (ended.status == 3) == (changes(portal) == 0), number
    assert set(statuses) == {0, 3}
    assert portal.rotator("verify").status == 0


def test_a_look_does_not_wait_to_be_stopped(portal: Sandbox) -> None:
    ended = stopped_at(portal, 1, "status")
    assert ended is not None
    assert ended.status == -signal.SIGTERM
