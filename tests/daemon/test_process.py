"""The daemon as a real process against a real server: rotates, reloads, stops in the middle, tells systemd."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from daemon_process import PATIENCE, DaemonProcess, age
from sandbox_process import ROTATOR, Sandbox

from rotator.daemon.children import Processes, _environment


PROXY_B = """
[proxy.second]
site = "sandbox"
prefix = "second"

[proxy.second.rotation]
window = ["any"]
key_bits = 2048
"""


def told(sandbox: Sandbox, *commands: str) -> list[tuple[str, str, int | None]]:
    """The runs of the journal that were made by these commands, the oldest first."""
    rows = sandbox.rotator("history", "--json").json["results"]
    runs = [run for row in rows for run in row["runs"]]
    return [(run["command"], run["started_by"], run["exit"]) for run in reversed(runs) if run["command"] in commands]


def test_what_is_due_is_rotated_and_systemd_is_told(portal: Sandbox) -> None:
    age(portal)
    with DaemonProcess(portal) as daemon:
        daemon.hear("READY=1")
        daemon.hear("STATUS=next: portal ")
        assert daemon.end() == 0
        daemon.hear("STOPPING=1")
        assert "portal: rotate ended with 0: done" in daemon.errors()
        assert "rotator: portal: rotate started (process " in daemon.errors()
    [(_, by, status)] = told(portal, "rotate")
    assert (by.endswith(" (daemon)"), status) == (True, 0)
    assert portal.rotator("verify").status == 0


LARGEST = 60_000_000
"""Bytes of memory that an idle daemon may take."""


def test_an_idle_daemon_is_small(portal: Sandbox) -> None:
    with DaemonProcess(portal) as daemon:
        daemon.hear("READY=1")
        daemon.hear("STATUS=next: portal ")
        status = Path(f"/proc/{daemon.process.pid}/status").read_text()
    resident = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert resident is not None
    assert int(resident[1]) * 1024 < LARGEST


def test_abstract_sockets_and_the_watchdog(portal: Sandbox) -> None:
    with DaemonProcess(portal, watchdog=1.0, abstract=True) as daemon:
        for _ in range(4):
            daemon.hear("WATCHDOG=1")
        daemon.send(signal.SIGINT)
        assert daemon.process.wait(PATIENCE) == 0


STUCK = """
import os, sys, threading
from rotator.daemon.loop import Daemon
step = Daemon.step
def stuck(self, event):
    if os.path.exists({flag!r}):
        threading.Event().wait()
    step(self, event)
Daemon.step = stuck
from rotator.cli.app import run
sys.exit(run(sys.argv[1:]))
"""


def test_the_watchdog_is_not_fed_while_the_main_loop_is_stuck(portal: Sandbox, tmp_path: Path) -> None:
    flag = tmp_path / "flag"
    command = (sys.executable, "-c", STUCK.format(flag=str(flag)))
    with DaemonProcess(portal, watchdog=1.0, command=command) as daemon:
        daemon.hear("WATCHDOG=1")
        flag.touch()
        while not daemon.silent("WATCHDOG=1", 3.0):
            pass
        assert daemon.process.poll() is None


def test_a_reload_takes_the_new_file(portal: Sandbox) -> None:
    with DaemonProcess(portal) as daemon:
        daemon.hear("READY=1")
        portal.config.write_text(portal.config.read_text() + PROXY_B)
        assert portal.rotator("create-proxy", "second", "--yes").status == 0
        age(portal)
        daemon.send(signal.SIGHUP)
        daemon.hear("RELOADING=1\nMONOTONIC_USEC=")
        daemon.hear("READY=1")
        daemon.hear("STATUS=next: ")
        while "second: rotate ended with 0" not in daemon.errors():
            daemon.hear("STATUS=")
        assert daemon.end() == 0
    assert [status for _, _, status in told(portal, "rotate")] == [0, 0]


def test_a_broken_file_is_told_and_the_old_one_stays_in_force(portal: Sandbox) -> None:
    good = portal.config.read_text()
    with DaemonProcess(portal) as daemon:
        daemon.hear("READY=1")
        age(portal)
        portal.config.write_text(good.replace('site = "sandbox"', "site = 3"))
        daemon.send(signal.SIGHUP)
        daemon.hear("RELOADING=1")
        daemon.hear("READY=1")
        assert "proxy.portal.site must be a string" in daemon.errors()
        assert "stays in force" in daemon.errors()
        # What is due is rotated all the same, by children that go by the text that was read.
        while "portal: rotate ended with 0" not in daemon.errors():
            daemon.hear("STATUS=")
        assert portal.rotator("status").status == 78
        assert daemon.end() == 0
    portal.config.write_text(good)
    assert portal.rotator("verify").status == 0


def test_a_broken_file_at_the_start_is_an_error(portal: Sandbox) -> None:
    portal.config.write_text("[keyring]\n")
    ended = portal.rotator("daemon")
    assert ended.status == 78
    assert "rotator: error: " in ended.err


def test_sigterm_in_the_middle_lets_the_rotation_finish(portal: Sandbox) -> None:
    age(portal)
    portal.fault("slow=2@qrs:PUT#1")
    with DaemonProcess(portal) as daemon:
        portal.wait_held(daemon.process)
        assert daemon.end() == 0
        daemon.hear("STOPPING=1")
        daemon.hear("EXTEND_TIMEOUT_USEC=")
        assert "finished or undone first" in daemon.errors()
        assert "portal: rotate ended with 0" in daemon.errors()
    assert portal.rotator("due").status == 1
    assert portal.rotator("verify").status == 0


def test_sigterm_before_anything_was_sent_changes_nothing(portal: Sandbox) -> None:
    age(portal)
    before = portal.rotator("keys", "list", "--json").result["fingerprint"]
    portal.fault("slow=1@qrs:GET#1")
    with DaemonProcess(portal) as daemon:
        portal.wait_held(daemon.process)
        assert daemon.end() == 0
        assert "portal: stopped by SIGTERM; the server was not changed" in daemon.errors()
        assert "portal: rotate ended with 3" in daemon.errors()
    assert portal.rotator("keys", "list", "--json").result["fingerprint"] == before
    assert portal.rotator("due").status == 0
    assert [status for _, _, status in told(portal, "rotate")] == [3]


def test_a_run_of_a_timer_at_the_same_time_is_harmless(portal: Sandbox) -> None:
    age(portal)
    portal.fault("slow=8@qrs:PUT#1")
    command = (*ROTATOR, "--config", str(portal.config), "rotate", "portal")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as timer:
        portal.wait_held(timer)
        with DaemonProcess(portal) as daemon:
            while "is being worked on by rotator rotate of" not in daemon.errors():
                daemon.hear("STATUS=")
            assert timer.wait(PATIENCE) == 0
            # After a pause it looks again, and finds nothing to do any more.
            daemon.hear("STATUS=next: portal ")
            assert "portal: rotate ended with 3" in daemon.errors()
            assert daemon.end() == 0
    assert [status for _, _, status in told(portal, "rotate")] == [0]
    assert portal.rotator("verify").status == 0


def test_a_killed_daemon_leaves_what_the_next_one_finishes(portal: Sandbox) -> None:
    age(portal)
    portal.fault("slow=1@qrs:PUT#1")
    with DaemonProcess(portal) as daemon:
        portal.wait_held(daemon.process)
        child = daemon.child()
        daemon.process.kill()
        os.kill(child, signal.SIGKILL)
    with DaemonProcess(portal) as daemon:
        daemon.hear("STATUS=next: portal ")
        assert daemon.end() == 0
    assert portal.rotator("verify").status == 0
    stages = [key["stage"] for key in portal.rotator("keys", "list", "--json").result["keys"]]
    assert (stages.count("current"), stages.count("pending")) == (1, 0)


def test_the_journal_of_systemd_gets_priorities(portal: Sandbox) -> None:
    read, write = os.pipe()
    found = os.fstat(write)
    portal.config.write_text(portal.config.read_text().replace('window = ["any"]\n', ""))
    process = subprocess.Popen(
        (*ROTATOR, "--config", str(portal.config), "daemon"),
        stderr=write,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"},
    )
    os.close(write)
    with os.fdopen(read) as lines:
        first = [lines.readline() for _ in range(3)]
        process.send_signal(signal.SIGTERM)
        rest = lines.read()
    assert process.wait(PATIENCE) == 0
    assert first[0].startswith("<3>rotator: error: proxy.portal.rotation: no `window` is set")
    assert first[1].startswith("<3>rotator: hint: ")
    assert first[2].startswith("<6>rotator: the daemon runs: nothing is planned; 1 error")
    assert rest == "<6>rotator: SIGTERM: stopping\n"


def test_the_daemon_imports_neither_http_nor_cryptography(portal: Sandbox) -> None:
    code = (
        "import os, signal, sys, threading\n"
        "from rotator.daemon.loop import Daemon\n"
        "plan = Daemon._plan\n"
        "def planned(self, look):\n"
        "    plan(self, look)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "Daemon._plan = planned\n"
        "from rotator.cli.app import run\n"
        "status = run(sys.argv[1:])\n"
        "heavy = {'requests', 'keyring', 'jwt', 'cryptography', 'pydantic', 'aiohttp', 'rich', 'sqlite3', 'filelock'}\n"
        "print(status, sorted(heavy & set(sys.modules)))"
    )
    ended = subprocess.run(
        (sys.executable, "-c", code, "--config", str(portal.config), "daemon"),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.stdout.splitlines()[-1] == "0 []", ended.stderr


def test_a_machine_without_room_for_a_thread_has_none_for_a_child(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The process that was started already is not left behind: nobody would hear of its end."""
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def remembered(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(popen(*arguments, **options))
        return started[-1]

    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(subprocess, "Popen", remembered)
    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(OSError, match="no room for a thread"):
        Processes(tmp_path, lambda *_: None).start("due", text="", collect=True)
    assert [process.returncode for process in started] == [-signal.SIGKILL]


def test_what_systemd_means_for_the_daemon_is_not_handed_on() -> None:
    given = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "CREDENTIALS_DIRECTORY": "/c"}
    assert _environment(given) == {"CREDENTIALS_DIRECTORY": "/c", "ROTATOR_DAEMON": "1"}
