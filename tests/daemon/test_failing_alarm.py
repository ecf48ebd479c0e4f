"""An alarm of the daemon that fails in APScheduler, in a real process."""

import sys

from daemon_process import DaemonProcess
from sandbox_process import Sandbox
from waiting import eventually


FAILING = """
import rotator.daemon.loop
from rotator.daemon import events

def alarm(name, real=events.Alarm):
    if name == "beat":
        raise ValueError("no\\x1b[2J way")
    return real(name)

events.Alarm = alarm
from rotator.__main__ import main
main()
"""
"""rotator, but one of the daemon's alarms raises an exception in APScheduler's job."""


def test_an_alarm_that_fails_is_told_as_everything_else_is(portal: Sandbox) -> None:
    with DaemonProcess(portal, command=(sys.executable, "-c", FAILING)) as daemon:
        eventually("the failure is told", lambda: "did not ring" in daemon.errors())
        assert daemon.end() == 0
        said = daemon.errors().splitlines()
    assert r"rotator: error: the alarm beat did not ring: ValueError: no\x1b[2J way" in said
    assert [line for line in said if not line.startswith("rotator: ")] == []
