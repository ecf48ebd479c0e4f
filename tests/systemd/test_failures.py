"""A run that fails is told, by the run itself or by the unit that OnFailure= names."""

import pytest
from systemd_server import Server


UNIT = "rotator-rotate@portal.service"
FAILED = f"rotator-failed@{UNIT}.service"
TOLD = "journalctl -o cat -t rotator-notice"


@pytest.fixture
def told(ready: Server) -> Server:
    """The portal with a hook that writes notices to the log."""
    text = ready.box.read("/etc/rotator/rotator.toml")
    text += '\n[notify]\nhooks = "/etc/rotator/hooks.d"\n'
    ready.box.write("/etc/rotator/rotator.toml", text, mode="0640", owner="root:rotator")
    assert "test" in ready.do("When a run fails")
    return ready


def idle(server: Server) -> None:
    """Wait until the notice has been seen to."""
    server.box.until(f"case $(systemctl show -P ActiveState '{FAILED}') in inactive|failed) ;; *) false ;; esac")


def test_a_rotation_that_fails_is_told_once_and_so_is_its_recovery(told: Server) -> None:
    told.always_due()
    told.qlik.fault("status=503@qrs#*")
    assert told.box.run(f"systemctl start {UNIT}", check=False).status != 0
    told.box.until(f"{TOLD} | grep -q '^failed portal: '")
    idle(told)
    assert told.box.show(FAILED, "Result") == "success"
    told.qlik.control("DELETE", "/faults")
    told.rotator("rotate portal --now --yes")
    told.box.until(f"{TOLD} | grep -q '^recovered portal: '")
    # A key that is always due has a certificate that ends soon, which is told too.
    lines = [line for line in told.box.run(TOLD).out.splitlines() if not line.startswith("expiring")]
    assert [line.split()[0] for line in lines] == ["test", "failed", "recovered"], lines
    assert "503" in lines[1]


def test_what_ends_before_it_can_speak_is_told_by_the_other_unit(told: Server) -> None:
    told.box.write(
        "/etc/systemd/system/rotator-rotate@.service.d/zz.conf",
        "[Service]\nExecStart=\nExecStart=/bin/sh -c 'kill -SEGV $$$$'\n",
    )
    told.box.run(f"systemctl daemon-reload; systemctl start {UNIT} || true")
    told.box.until(f"{TOLD} | grep -q 'the unit {UNIT} failed: it was killed by the signal'")


def test_a_configuration_that_is_wrong_is_told(told: Server) -> None:
    text = told.box.read("/etc/rotator/rotator.toml").replace("every =", "evry =")
    told.box.write("/etc/rotator/rotator.toml", text, mode="0640", owner="root:rotator")
    told.box.run(f"systemctl start {UNIT} || true")
    told.box.until(f"{TOLD} | grep -q '^failed'")
    idle(told)
    assert len([line for line in told.box.run(TOLD).out.splitlines() if line.startswith("failed")]) == 1
