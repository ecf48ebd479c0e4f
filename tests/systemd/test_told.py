"""A run that fails is told, by the run itself or by the unit that OnFailure= names; and metrics from inside the units."""

import pytest
from systemd_server import Server
from waiting import eventually


UNIT = "rotator-rotate@portal.service"
FAILED = f"rotator-failed@{UNIT}.service"
METRICS = "/var/lib/node-exporter/rotator.prom"


@pytest.fixture
def telling(ready: Server) -> Server:
    """The portal, always due, with a hook that writes notices to the log."""
    reconfigure(ready, "[proxy.portal]", '[notify]\nhooks = "/etc/rotator/hooks.d"\n\n[proxy.portal]')
    assert "test" in ready.do("When a run fails")
    ready.make_due()
    return ready


def reconfigure(server: Server, old: str, new: str) -> None:
    text = server.box.read("/etc/rotator/rotator.toml")
    assert old in text
    server.box.write("/etc/rotator/rotator.toml", text.replace(old, new), mode="0640", owner="root:rotator")


def told(server: Server) -> list[str]:
    """The notices so far, without those of a key that is always due: its certificate ends soon, which is told too."""
    lines = server.box.run("journalctl -o cat -t rotator-notice").out.splitlines()
    return [line for line in lines if not line.startswith(("test", "expiring"))]


def idle(server: Server) -> None:
    """Wait until the unit and the one that tells of its failure do nothing."""
    for unit in (UNIT, FAILED):
        server.box.until(f"case $(systemctl show -P ActiveState {unit}) in inactive|failed) ;; *) false ;; esac")


def fails(server: Server) -> None:
    """Start the unit, see it fail, and wait until that has been seen to."""
    assert server.box.run(f"systemctl start {UNIT}", check=False).status != 0
    eventually("it was told", lambda: any(line.startswith("failed portal") for line in told(server)))
    idle(server)


def test_a_run_of_the_daemon_that_is_killed_is_told_by_the_daemon_which_goes_on(telling: Server) -> None:
    telling.qlik.control("POST", "/delay", [3, 3])
    telling.box.run("systemctl start rotator.service")
    eventually("the certificate was put", lambda: telling.rotations() == 1)
    main = telling.box.show("rotator.service", "MainPID")
    started = telling.box.run("journalctl -u rotator.service -o cat -g 'rotate started'").out
    telling.box.run(f"kill -KILL {started.split('(process ')[1].split(')')[0]}")
    eventually("its end was told", lambda: len(told(telling)) > 1)
    killed, recovered = told(telling)[:2]
    assert killed.startswith("failed portal: portal: rotate was killed by signal 9")
    assert recovered.startswith("recovered portal: ")
    assert telling.box.show("rotator.service", "MainPID") == main
    telling.box.run("systemctl stop rotator.service")


def test_a_run_that_is_killed_is_told_by_the_unit_for_failures_and_the_next_one_tells_that_all_is_well(
    telling: Server,
) -> None:
    telling.qlik.control("POST", "/delay", [3, 3])
    telling.box.run(f"systemctl start --no-block {UNIT}")
    eventually("the certificate was put", lambda: telling.rotations() == 1)
    telling.box.run(f"systemctl kill -s KILL {UNIT}")
    eventually("it was told", lambda: bool(told(telling)))
    idle(telling)
    telling.box.run(f"systemctl start {UNIT}")
    killed, recovered = told(telling)
    assert killed.startswith(f"failed portal: portal: the unit {UNIT} failed: it was killed by the signal KILL")
    assert recovered.startswith("recovered portal: ")


def test_a_run_that_fails_tells_so_itself_and_only_once_and_leaves_its_figures(telling: Server) -> None:
    telling.box.run("install -d -o rotator /var/lib/node-exporter")
    drop_in = "[Service]\nReadWritePaths=/var/lib/node-exporter\n"
    telling.box.write("/etc/systemd/system/rotator-rotate@.service.d/metrics.conf", drop_in)
    telling.box.run("systemctl daemon-reload")
    reconfigure(telling, "[notify]", f'[metrics]\ntextfile = "{METRICS}"\n\n[notify]')
    telling.qlik.fault("status=503@qrs#*")
    fails(telling)
    assert telling.box.show(FAILED, "Result") == "success"
    assert 'rotator_last_run_exit_status{name="portal",site="prod"} 1.0' in telling.box.read(METRICS)
    assert telling.box.run(f"stat -c %a {METRICS}").out.strip() == "644"
    telling.qlik.control("DELETE", "/faults")
    telling.rotator("rotate portal --now --yes")
    failed, recovered = told(telling)
    assert "503" in failed
    assert recovered.startswith("recovered portal: ")


def test_a_question_that_cannot_be_answered_is_told_once(telling: Server) -> None:
    reconfigure(telling, 'window = ["any"]', "")
    for _ in range(2):
        fails(telling)
    (line,) = told(telling)
    assert "its ExecCondition, `rotator due`, ended with an error" in line


def test_a_configuration_that_is_wrong_is_told_once(telling: Server) -> None:
    reconfigure(telling, "every =", "evry =")
    fails(telling)
    assert len(told(telling)) == 1
