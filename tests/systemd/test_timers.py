"""Rotations by a timer, under a real systemd."""

import json

from systemd_box import eventually
from systemd_server import Server


QUICK = "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/2\nRandomizedDelaySec=0\nAccuracySec=100ms\n"
QUICK_TIMER = "/etc/systemd/system/rotator-rotate@.timer.d/quick.conf"
UNIT = "rotator-rotate@portal.service"
TIMER = "rotator-rotate@portal.timer"


def waits(server: Server) -> None:
    """Wait until the unit does nothing."""
    server.box.until(f"case $(systemctl show -P ActiveState {UNIT}) in inactive|failed) ;; *) false ;; esac")


def in_the_middle(server: Server) -> None:
    """Start a rotation, and come back when the server has the new key and its proxy does not yet serve it."""
    server.always_due()
    server.qlik.control("POST", "/delay", [3, 3])
    server.box.run(f"systemctl start --no-block {UNIT}")
    eventually("the certificate was put", lambda: server.rotations() == 1)
    assert server.box.show(UNIT, "ActiveState") == "activating"


def test_nothing_is_due_at_first_and_that_is_no_failure(machine: Server) -> None:
    said = machine.do("By timer")
    assert TIMER in said
    assert machine.rotations() == 0
    assert machine.box.show(UNIT, "Result") == "success"
    assert machine.box.run("systemctl --failed --plain --no-legend").out == ""
    assert machine.box.run("systemctl is-enabled rotator.target").out.strip() == "enabled"


def test_a_timer_starts_the_first_rotation(machine: Server) -> None:
    machine.always_due()
    before = machine.fingerprint()
    machine.box.write(QUICK_TIMER, QUICK)
    machine.box.run(f"systemctl daemon-reload; systemctl enable --now rotator.target {TIMER}")
    machine.box.until(f"journalctl -u {UNIT} | grep -q ': rotated'")
    machine.box.run(f"systemctl stop {TIMER}")
    waits(machine)
    assert machine.rotations() >= 1
    assert machine.fingerprint() != before
    assert machine.rotator("verify").status == 0
    assert "rotate by rotator (systemd): rotated" in machine.rotator("history").out


def test_a_run_that_finds_the_lock_taken_is_no_failure(machine: Server) -> None:
    in_the_middle(machine)
    busy = machine.rotator("rotate portal --now --yes", check=False)
    assert busy.status == 3, busy.text
    waits(machine)
    assert machine.box.show(UNIT, "Result") == "success"
    assert machine.rotations() == 1


def test_an_error_of_the_question_whether_it_is_due_is_a_failure(machine: Server) -> None:
    machine.box.run("echo 'nonsense = 1' >>/etc/rotator/rotator.toml")
    assert machine.box.run(f"systemctl start {UNIT}", check=False).status != 0
    assert machine.box.show(UNIT, "Result") == "exit-code"
    assert "rotator: error: " in machine.box.journal(UNIT)
    machine.box.until(f"journalctl -u 'rotator-failed@{UNIT}.service' | grep -q rotator")


def test_a_stop_in_the_middle_waits_for_the_end(machine: Server) -> None:
    in_the_middle(machine)
    machine.box.run(f"systemctl stop {UNIT}")
    assert machine.box.show(UNIT, "Result") == "success"
    assert machine.rotations() == 1
    assert machine.rotator("verify").status == 0


def test_the_target_stops_and_starts_everything(machine: Server) -> None:
    machine.do("By timer")
    machine.box.run("systemctl stop rotator.target")
    assert machine.box.show(TIMER, "ActiveState") == "inactive"
    machine.box.run("systemctl start rotator.target")
    assert machine.box.show(TIMER, "ActiveState") == "active"
    machine.box.reboot()
    assert machine.box.show(TIMER, "ActiveState") == "active"


def test_after_a_reboot_state_and_keys_are_there_and_what_was_missed_is_caught_up(machine: Server) -> None:
    machine.always_due()
    before = machine.fingerprint()
    machine.box.write("/etc/systemd/system/rotator-rotate@.timer.d/prompt.conf", "[Timer]\nRandomizedDelaySec=0\n")
    machine.box.run(f"systemctl daemon-reload; systemctl enable --now rotator.target {TIMER}")
    assert machine.rotations() == 0
    stamp = "/var/lib/systemd/timers/stamp-" + TIMER
    # As if it had been down since: the timer's last run is in its stamp.
    machine.box.run(f"systemctl stop {TIMER}; touch -d '-1 hour' {stamp}")
    machine.box.reboot()
    machine.box.until(f"journalctl -b -u {UNIT} | grep -q ': rotated'")
    assert machine.rotations() == 1
    assert machine.fingerprint() != before
    keys = json.loads(machine.rotator("keys list --json").out)
    assert before in json.dumps(keys)
    assert "create-proxy" in machine.rotator("history").out


def test_after_a_power_cut_in_the_middle_the_next_boot_gets_there(machine: Server) -> None:
    in_the_middle(machine)
    machine.box.cut_power()
    machine.box.boot()
    machine.box.run(f"systemctl start {UNIT}")
    assert machine.rotator("verify").status == 0
    assert "interrupted" in machine.rotator("history").out
