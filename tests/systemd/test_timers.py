"""Rotations by a timer, under a real systemd."""

import json

from systemd_server import Server
from waiting import eventually


QUICK = "[Timer]\nOnCalendar=\nOnCalendar=*:*:0/2\nRandomizedDelaySec=0\nAccuracySec=100ms\n"
QUICK_TIMER = "/etc/systemd/system/rotator-rotate@.timer.d/quick.conf"
UNIT = "rotator-rotate@portal.service"
TIMER = "rotator-rotate@portal.timer"


def waits(server: Server) -> None:
    """Wait until the unit does nothing."""
    server.box.until(f"case $(systemctl show -P ActiveState {UNIT}) in inactive|failed) ;; *) false ;; esac")


def in_the_middle(server: Server, seconds: int = 3) -> None:
    """Start a rotation, and come back when the server has the new key and its proxy does not yet serve it."""
    server.make_due()
    server.qlik.control("POST", "/delay", [seconds, seconds])
    server.box.run(f"systemctl start --no-block {UNIT}")
    eventually("the certificate was put", lambda: server.rotations() == 1)
    assert server.box.show(UNIT, "ActiveState") == "activating"


def test_nothing_is_due_at_first_and_that_is_no_failure(ready: Server) -> None:
    said = ready.do("By timer")
    assert TIMER in said
    assert ready.rotations() == 0
    assert ready.box.show(UNIT, "Result") == "success"
    assert ready.box.run("systemctl --failed --plain --no-legend").out == ""
    assert ready.box.run("systemctl is-enabled rotator.target").out.strip() == "enabled"


def test_a_timer_starts_the_first_rotation(ready: Server) -> None:
    ready.make_due()
    before = ready.fingerprint()
    ready.box.write(QUICK_TIMER, QUICK)
    ready.box.run(f"systemctl daemon-reload; systemctl enable --now rotator.target {TIMER}")
    ready.box.until(f"journalctl -u {UNIT} | grep -q ': rotated'")
    ready.box.run(f"systemctl stop {TIMER}")
    waits(ready)
    assert ready.rotations() >= 1
    assert ready.fingerprint() != before
    assert ready.rotator("verify").status == 0
    assert f"rotate by rotator ({UNIT}): rotated" in ready.rotator("history").out


def test_a_run_that_finds_the_lock_taken_is_no_failure(ready: Server) -> None:
    in_the_middle(ready, 8)
    busy = ready.rotator("rotate portal --now --yes", check=False)
    assert busy.status == 3, busy.text
    waits(ready)
    assert ready.box.show(UNIT, "Result") == "success"
    assert ready.rotations() == 1


def test_an_error_of_the_question_whether_it_is_due_is_a_failure(ready: Server) -> None:
    ready.box.run("echo 'nonsense = 1' >>/etc/rotator/rotator.toml")
    assert ready.box.run(f"systemctl start {UNIT}", check=False).status != 0
    assert ready.box.show(UNIT, "Result") == "exit-code"
    assert "rotator: error: " in ready.box.journal(UNIT)
    ready.box.until(f"journalctl -u 'rotator-failed@{UNIT}.service' | grep -q rotator")


def test_a_stop_in_the_middle_waits_for_the_end(ready: Server) -> None:
    in_the_middle(ready)
    ready.box.run(f"systemctl stop {UNIT}")
    assert ready.box.show(UNIT, "Result") == "success"
    assert ready.rotations() == 1
    assert ready.rotator("verify").status == 0


def test_the_target_stops_and_starts_everything(ready: Server) -> None:
    ready.do("By timer")
    ready.box.run("systemctl stop rotator.target")
    assert ready.box.show(TIMER, "ActiveState") == "inactive"
    ready.box.run("systemctl start rotator.target")
    assert ready.box.show(TIMER, "ActiveState") == "active"
    ready.box.reboot()
    assert ready.box.show(TIMER, "ActiveState") == "active"


def test_after_a_reboot_state_and_keys_are_there_and_what_was_missed_is_caught_up(ready: Server) -> None:
    ready.make_due()
    before = ready.fingerprint()
    ready.box.write("/etc/systemd/system/rotator-rotate@.timer.d/prompt.conf", "[Timer]\nRandomizedDelaySec=0\n")
    ready.box.run(f"systemctl daemon-reload; systemctl enable --now rotator.target {TIMER}")
    assert ready.rotations() == 0
    stamp = "/var/lib/systemd/timers/stamp-" + TIMER
    # As if it had been down since: the timer's last run is in its stamp.
    ready.box.run(f"systemctl stop {TIMER}; touch -d '-1 hour' {stamp}")
    ready.box.reboot()
    ready.box.until(f"journalctl -b -u {UNIT} | grep -q ': rotated'")
    assert ready.rotations() == 1
    assert ready.fingerprint() != before
    keys = json.loads(ready.rotator("keys list --json").out)
    assert before in json.dumps(keys)
    assert "create-proxy" in ready.rotator("history").out


def test_after_a_power_cut_in_the_middle_the_next_boot_gets_there(ready: Server) -> None:
    in_the_middle(ready)
    ready.box.cut_power()
    ready.box.boot()
    ready.box.run(f"systemctl start {UNIT}")
    assert ready.rotator("verify").status == 0
    assert "interrupted" in ready.rotator("history").out
