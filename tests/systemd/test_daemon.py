"""The daemon as a unit."""

import pytest
from systemd_box import eventually
from systemd_server import Server


DAEMON = "rotator.service"
UNIT = "rotator-rotate@portal.service"
TIMER = "rotator-rotate@portal.timer"


@pytest.fixture
def watched(machine: Server) -> Server:
    """The daemon, which runs."""
    machine.do("By the daemon")
    assert machine.box.show(DAEMON, "ActiveState") == "active"
    return machine


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
    watched.always_due()
    watched.box.run(f"systemctl reload {DAEMON}")
    watched.box.until(f"journalctl -u {DAEMON} | grep -q ': rotated'")
    assert watched.rotations() >= 1
    assert watched.box.show(DAEMON, "NRestarts") == "0"


def test_a_stop_in_the_middle_finishes_the_rotation(machine: Server) -> None:
    machine.always_due()
    machine.qlik.control("POST", "/delay", [3, 3])
    machine.box.run(f"systemctl start {DAEMON}")
    eventually("the certificate was put", lambda: machine.rotations() == 1)
    machine.box.run(f"systemctl stop {DAEMON}")
    assert machine.box.show(DAEMON, "Result") == "success"
    assert machine.rotations() == 1
    assert machine.rotator("verify").status == 0
    assert "interrupted" not in machine.rotator("history").out


def test_a_daemon_that_hangs_is_started_again(machine: Server) -> None:
    machine.box.write(f"/etc/systemd/system/{DAEMON}.d/quick.conf", "[Service]\nWatchdogSec=2s\nRestartSec=0\n")
    machine.box.run(f"systemctl daemon-reload; systemctl start {DAEMON}")
    machine.box.run(f"kill -STOP $(systemctl show -P MainPID {DAEMON})")
    machine.box.until(f"test $(systemctl show -P NRestarts {DAEMON}) = 1 && systemctl is-active -q {DAEMON}")
    assert "Watchdog timeout" in machine.box.journal(DAEMON)
    assert machine.box.run("find / -xdev -name 'core*' -newer /etc/rotator/rotator.toml -size +100k -type f").out == ""


def test_timer_and_daemon_together_do_no_harm(machine: Server) -> None:
    machine.always_due()
    machine.qlik.control("POST", "/delay", [1, 1])
    machine.box.write(
        "/etc/systemd/system/rotator-rotate@.timer.d/quick.conf",
        "[Timer]\nOnCalendar=\nOnCalendar=*:*:*\nRandomizedDelaySec=0\nAccuracySec=100ms\n",
    )
    machine.box.run(f"systemctl daemon-reload; systemctl start {DAEMON} {TIMER}")
    for unit in (DAEMON, UNIT):
        machine.box.until(f"journalctl -u {unit} | grep -q ': rotated'")
    # Both wanted it at the same time, and one of them was told that it is being worked on.
    machine.box.until(f"journalctl -u {UNIT} -u {DAEMON} | grep -q 'is being worked on by rotator rotate of rotator'")
    machine.box.run(f"systemctl stop {TIMER} {DAEMON}; systemctl stop {UNIT}")
    assert machine.box.run("systemctl --failed --plain --no-legend").out == ""
    assert machine.rotator("verify").status == 0
    assert "interrupted" not in machine.rotator("history").out


def test_a_daemon_that_never_comes_up_is_told(machine: Server) -> None:
    machine.box.run("echo 'nonsense = 1' >>/etc/rotator/rotator.toml")
    assert machine.box.run(f"systemctl start {DAEMON}", check=False).status != 0
    assert machine.box.show(DAEMON, "ExecMainStatus") == "78"
    assert machine.box.show(DAEMON, "NRestarts") == "0"
    machine.box.until(f"journalctl -u 'rotator-failed@{DAEMON}.service' | grep -q 'Tell that {DAEMON} has failed'")
