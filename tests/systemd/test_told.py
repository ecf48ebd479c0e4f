"""Notices and metrics from inside the units, under a real systemd: a run that is killed, and one that fails."""

from systemd_box import eventually
from systemd_server import Server


UNIT = "rotator-rotate@portal.service"
TOLD = "/var/lib/rotator/told"
HOOK = f'#!/bin/sh\necho "$ROTATOR_EVENT $ROTATOR_NAME $ROTATOR_REASON: $ROTATOR_MESSAGE" >>{TOLD}\n'
TABLES = '[notify]\nhooks = "/etc/rotator/hooks.d"\n\n[metrics]\ntextfile = "/var/lib/node-exporter/rotator.prom"\n'


def telling(server: Server) -> None:
    """Hooks of root's, and a folder of node_exporter's that the unit may write to, as docs/metrics.md says."""
    server.always_due()
    box = server.box
    box.run("install -d -m 0755 /etc/rotator/hooks.d; install -d -o rotator /var/lib/node-exporter")
    box.write("/etc/rotator/hooks.d/10-note", HOOK, mode="0755")
    drop_in = "[Service]\nReadWritePaths=/var/lib/node-exporter\n"
    box.write("/etc/systemd/system/rotator-rotate@.service.d/metrics.conf", drop_in)
    box.run("systemctl daemon-reload")
    text = box.read("/etc/rotator/rotator.toml")
    box.write("/etc/rotator/rotator.toml", f"{text}\n{TABLES}", mode="0640", owner="root:rotator")


def idle(server: Server) -> None:
    """Wait until the unit and the one that tells of its failure do nothing."""
    for unit in (UNIT, f"rotator-failed@{UNIT}.service"):
        server.box.until(f"case $(systemctl show -P ActiveState {unit}) in inactive|failed) ;; *) false ;; esac")


def test_a_run_that_is_killed_is_told_by_the_unit_for_failures(ready: Server) -> None:
    telling(ready)
    ready.qlik.control("POST", "/delay", [3, 3])
    ready.box.run(f"systemctl start --no-block {UNIT}")
    eventually("the certificate was put", lambda: ready.rotations() == 1)
    ready.box.run(f"systemctl kill -s KILL {UNIT}")
    ready.box.until(f"test -s {TOLD}")
    idle(ready)
    (told,) = ready.box.read(TOLD).splitlines()
    assert told.startswith(
        f"failed portal UnitFailed: portal: the unit {UNIT} failed: it was killed by the signal KILL"
    )
    # The next run finishes what was under way, and says that all is well.
    ready.box.run(f"systemctl start {UNIT}")
    assert [line.split()[0] for line in ready.box.read(TOLD).splitlines()] == ["failed", "recovered"]


def test_a_run_that_fails_tells_so_itself_and_only_once(ready: Server) -> None:
    telling(ready)
    ready.qlik.fault("status=500@qrs:GET#1")
    assert ready.box.run(f"systemctl start {UNIT}", check=False).status != 0
    ready.box.until(f"journalctl -u 'rotator-failed@{UNIT}.service' | grep -q 'no notice waits'")
    idle(ready)
    (told,) = ready.box.read(TOLD).splitlines()
    assert told.startswith("failed portal ServerFault: ")
    written = ready.box.read("/var/lib/node-exporter/rotator.prom")
    assert 'rotator_last_run_exit_status{name="portal",site="prod"} 1.0' in written
    assert ready.box.run("stat -c %a /var/lib/node-exporter/rotator.prom").out.strip() == "644"


def test_a_question_that_cannot_be_answered_is_told(ready: Server) -> None:
    telling(ready)
    text = ready.box.read("/etc/rotator/rotator.toml")
    ready.box.write(
        "/etc/rotator/rotator.toml", text.replace('window = ["any"]', ""), mode="0640", owner="root:rotator"
    )
    for _ in range(2):
        assert ready.box.run(f"systemctl start {UNIT}", check=False).status != 0
        idle(ready)
    ready.box.until(f"test -s {TOLD}")
    (told,) = ready.box.read(TOLD).splitlines()
    assert "its ExecCondition, `rotator due`, ended with an error" in told
