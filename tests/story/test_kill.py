"""SIGKILL at each request of a rotation; what was on its way lands late. The next ordinary run gets there."""

import signal
import subprocess

import pytest
from sandbox_process import ROTATOR, Sandbox


REQUESTS = 20
"""More than a rotation makes on two proxies before it is finished; at the last ones there is nothing left to kill."""


def killed_at(sandbox: Sandbox, number: int, *command: str) -> bool:
    """Kill a run while the sandbox holds its request of this number back; False where it made fewer."""
    sandbox.control("DELETE", "/faults")
    sandbox.fault(f"slow=0.4@*#{number}")
    process = subprocess.Popen(
        (*ROTATOR, "--config", str(sandbox.config), *command), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None:
        if sandbox.control("GET", "/held"):
            process.send_signal(signal.SIGKILL)
            process.wait(10)
            return True
    return False


@pytest.mark.parametrize("first", [1, 2, 3, 4])
def test_killed_at_any_request_the_next_run_gets_there(portal: Sandbox, first: int) -> None:
    kills = 0
    for number in range(first, REQUESTS + 1, 4):
        kills += killed_at(portal, number, "rotate", "--now")
        portal.control("DELETE", "/faults")
        portal.control("DELETE", "/sessions")
        # At once, so that what the killed process sent may land in the middle of this run.
        again = portal.rotator("rotate", "--now", "--json")
        if again.status != 0:
            again = portal.rotator("rotate", "--now", "--json")
        assert again.status == 0, (number, again.err)
        assert portal.rotator("verify").status == 0, number
        stages = [key["stage"] for key in portal.rotator("keys", "list", "--json").result["keys"]]
        assert stages.count("current") == 1, number
        assert stages.count("pending") == 0, number
    assert kills >= 3


def test_killed_at_any_request_of_create_proxy(sandbox: Sandbox) -> None:
    kills = [killed_at(sandbox, number, "create-proxy", "--yes") for number in (1, 5, 6, 8, 9, 11, 12)]
    assert sum(kills) >= 5
    sandbox.control("DELETE", "/faults")
    sandbox.control("DELETE", "/sessions")
    ended = sandbox.rotator("create-proxy", "--yes")
    if ended.status != 0:
        ended = sandbox.rotator("create-proxy", "--yes")
    assert ended.status == 0, ended.err
    assert sandbox.rotator("rotate", "--now").status == 0
    assert sandbox.rotator("verify").status == 0
