"""The daemon as a unit."""

import pytest
from systemd_server import Server
from waiting import eventually


DAEMON = "rotator.service"
UNIT = "rotator-rotate@portal.service"
TIMER = "rotator-rotate@portal.timer"


@pytest.fixture
def watched(ready: Server) -> Server:
    """The daemon, which runs."""
    ready.do("By the daemon")
    assert ready.box.show(DAEMON, "ActiveState") == "active"
    return ready


def test_it_is_ready_and_tells_its_plan(watched: Server) -> None:
    assert watched.box.show(DAEMON, "StatusText")
    assert watched.rotations() == 0
    watched.box.run("systemctl stop rotator.target")
    assert watched.box.show(DAEMON, "Result") == "success"
    watched.box.reboot()
    watched.box.until(f"systemctl is-active -q {DAEMON}")


def test_a_reload_takes_the_new_configuration_and_keeps_the_old_one_where_it_is_wrong(watched: Server) -> None:
    right = watched.box.read("/etc/rotator/rotator.toml")
    watched.box.write("/etc/rotator/rotator.toml", right + "\nnonsense = 1\n", mode="0640", owner="root:rotator")
    watched.box.run(f"systemctl reload {DAEMON}")
    watched.box.until(f"journalctl -u {DAEMON} -p warning | grep -q 'stays in force'")
    # The new key has a certificate that ends soon, so that the next look finds it due.
    watched.box.write("/etc/rotator/rotator.toml", right, mode="0640", owner="root:rotator")
    watched.make_due()
    watched.box.run(f"systemctl reload {DAEMON}")
    watched.box.until(f"journalctl -u {DAEMON} | grep -q ': rotated'")
    assert watched.rotations() >= 1
    assert watched.box.show(DAEMON, "NRestarts") == "0"


def test_a_stop_in_the_middle_finishes_the_rotation(ready: Server) -> None:
    ready.make_due()
    ready.qlik.control("POST", "/delay", [3, 3])
    ready.box.run(f"systemctl start {DAEMON}")
    eventually("the certificate was put", lambda: ready.rotations() == 1)
    ready.box.run(f"systemctl stop {DAEMON}")
    assert ready.box.show(DAEMON, "Result") == "success"
    assert ready.rotations() == 1
    assert ready.rotator("verify").status == 0
    assert "interrupted" not in ready.rotator("history").out


def test_a_daemon_that_hangs_is_started_again(ready: Server) -> None:
    ready.box.write(f"/etc/systemd/system/{DAEMON}.d/quick.conf", "[Service]\nWatchdogSec=2s\nRestartSec=0\n")
    ready.box.run(f"systemctl daemon-reload; systemctl start {DAEMON}")
    ready.box.run(f"kill -STOP $(systemctl show -P MainPID {DAEMON})")
    ready.box.until(f"test $(systemctl show -P NRestarts {DAEMON}) = 1 && systemctl is-active -q {DAEMON}")
    assert "Watchdog timeout" in ready.box.journal(DAEMON)
    assert ready.box.run("find / -xdev -name 'core*' -newer /etc/rotator/rotator.toml -size +100k -type f").out == ""


def test_timer_and_daemon_together_do_no_harm(ready: Server) -> None:
    ready.make_due()
    ready.qlik.control("POST", "/delay", [8, 8])
    ready.box.run(f"systemctl start {DAEMON} {TIMER}")
    eventually("the certificate was put", lambda: ready.rotations() == 1)
    ready.box.run(f"systemctl start {UNIT}")
    assert "is being worked on by rotator rotate of rotator" in ready.box.journal(UNIT)
    assert ready.box.show(UNIT, "Result") == "success"
    ready.box.until(f"journalctl -u {DAEMON} | grep -q ': rotated'")
    ready.box.run(f"systemctl stop {DAEMON}")
    ready.qlik.control("POST", "/delay", [0, 0])
    ready.make_due()
    ready.box.run(f"systemctl start {UNIT}")
    assert ": rotated" in ready.box.journal(UNIT)
    assert ready.box.run("systemctl --failed --plain --no-legend").out == ""
    assert ready.rotator("verify").status == 0
    assert "interrupted" not in ready.rotator("history").out


def test_a_daemon_that_never_comes_up_is_told(ready: Server) -> None:
    ready.box.run("echo 'nonsense = 1' >>/etc/rotator/rotator.toml")
    assert ready.box.run(f"systemctl start {DAEMON}", check=False).status != 0
    assert ready.box.show(DAEMON, "ExecMainStatus") == "78"
    assert ready.box.show(DAEMON, "NRestarts") == "0"
    ready.box.until(f"journalctl -u 'rotator-failed@{DAEMON}.service' | grep -q 'Tell that {DAEMON} has failed'")
