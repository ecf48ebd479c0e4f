"""What a hook of [notify] is told by real daemons and their runs: that something went wrong, and that it is over."""

import os
import select
import signal
import sys
from typing import Self

from daemon_process import PATIENCE, DaemonProcess, age
from sandbox_process import Sandbox


HASTY = """
import sys
from datetime import timedelta
from rotator.planning import starts
starts.FIRST_PAUSE = timedelta(milliseconds=100)
from rotator.cli.app import run
sys.exit(run(sys.argv[1:]))
"""


class Hooked:
    """A hook of [notify] that hands on what it is told; use it as a context manager."""

    VARIABLES = ("EVENT", "SITE", "NAME", "REASON", "MESSAGE", "HINT")

    def __init__(self, sandbox: Sandbox) -> None:
        hooks, pipe = sandbox.folder / "hooks.d", sandbox.folder / "told"
        hooks.mkdir(mode=0o755)
        os.mkfifo(pipe)
        hook = hooks / "10-tell"
        lines = " ".join(f'"$ROTATOR_{name}"' for name in self.VARIABLES)
        hook.write_text(f"#!/bin/sh\nprintf '%s\\n' {lines} > {pipe}\n")
        hook.chmod(0o755)
        with sandbox.config.open("a") as file:
            file.write(f'\n[notify]\nhooks = "{hooks}"\n')
        self._pipe = os.open(pipe, os.O_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._pipe)

    def told(self) -> dict[str, str]:
        """The next notice."""
        said = b""
        while said.count(b"\n") < len(self.VARIABLES):
            assert select.select([self._pipe], [], [], PATIENCE)[0], "nobody was told"
            said += os.read(self._pipe, 1)
        return dict(zip(self.VARIABLES, said.decode().splitlines(), strict=True))


def test_a_rotation_that_is_killed_is_told_by_the_daemon_and_its_end_by_the_next_run(portal: Sandbox) -> None:
    age(portal)
    portal.fault("slow=2@qrs:PUT#1")
    with Hooked(portal) as hooked, DaemonProcess(portal) as daemon:
        portal.wait_held(daemon.process)
        os.kill(daemon.child(), signal.SIGKILL)
        failed, recovered = hooked.told(), hooked.told()
        assert daemon.end() == 0
        assert "`rotator notify`" not in daemon.errors()
    assert (failed["EVENT"], failed["SITE"], failed["NAME"]) == ("failed", "sandbox", "portal")
    assert failed["REASON"] == "RunFailed"
    assert failed["MESSAGE"] == (
        "portal: rotate was killed by signal 9; the next run finishes or undoes what it has begun"
    )
    assert "rotator history portal" in failed["HINT"]
    assert (recovered["EVENT"], recovered["NAME"]) == ("recovered", "portal")
    assert portal.rotator("verify").status == 0
    assert portal.rotator("notify").out == "no notice waits\n"


def test_a_keyring_that_cannot_be_asked_is_told_and_its_end_too_by_whichever_daemon_sees_it(portal: Sandbox) -> None:
    key = portal.folder / "master.key"
    away = key.rename(portal.folder / "elsewhere")
    command = (sys.executable, "-c", HASTY)
    with Hooked(portal) as hooked:
        with DaemonProcess(portal, command=command) as daemon:
            failed = hooked.told()
            # Waits until the process that delivers has done so: a stop would end it, and it would be told twice.
            assert portal.rotator("notify").out == "no notice waits\n"
            assert daemon.end() == 0
        away.rename(key)
        with DaemonProcess(portal, command=command) as daemon:
            recovered = hooked.told()
            away = key.rename(away)
            daemon.send(signal.SIGHUP)
            again = hooked.told()
            away.rename(key)
            daemon.send(signal.SIGHUP)
            over = hooked.told()
            assert daemon.end() == 0
    for told in (failed, again):
        assert (told["EVENT"], told["NAME"]) == ("failed", "portal")
        assert told["REASON"].startswith("Look")
        assert "master.key" in told["MESSAGE"]
    for told in (recovered, over):
        assert (told["EVENT"], told["NAME"], told["REASON"]) == ("recovered", "portal", "LooksAgain")
