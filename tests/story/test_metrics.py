"""The metrics of real runs."""

import subprocess
import sys
from pathlib import Path

from exposition import samples
from portal_user import login, token
from sandbox_process import Sandbox


OF = ("sandbox", "portal")


def measured(portal: Sandbox) -> Path:
    path = portal.folder / "rotator.prom"
    with portal.config.open("a") as file:
        file.write(f'\n[metrics]\ntextfile = "{path}"\n')
    return path


def test_every_run_brings_the_metrics_up_to_date(portal: Sandbox) -> None:
    path = measured(portal)
    assert portal.rotator("status").status == 0
    first = samples(path)
    assert first["rotator_last_run_exit_status", *OF] == 0  # create-proxy, before there were metrics
    created = first["rotator_current_key_created_timestamp_seconds", *OF]
    since = first["rotator_next_due_timestamp_seconds", *OF] - 30 * 86400
    assert created <= since <= first["rotator_last_run_timestamp_seconds", *OF]
    assert first["rotator_client_certificate_not_after_timestamp_seconds", "sandbox"] > created
    assert first["rotator_certificate_not_after_timestamp_seconds", *OF] > created + 1000 * 86400

    portal.fault("status=500@qrs:GET#1")
    assert portal.rotator("rotate", "--now").status == 1
    portal.control("DELETE", "/faults")
    failed = samples(path)
    assert failed["rotator_last_run_exit_status", *OF] == 1
    assert failed["rotator_retry_attempts", *OF] == 1
    assert failed["rotator_rotations_total", *OF, "failed", "ServerFault"] == 1
    assert failed["rotator_last_success_timestamp_seconds", *OF] < failed["rotator_last_run_timestamp_seconds", *OF]

    assert portal.rotator("rotate", "--now").status == 0
    done = samples(path)
    assert done["rotator_last_run_exit_status", *OF] == 0
    assert done["rotator_retry_attempts", *OF] == 0
    assert done["rotator_rotations_total", *OF, "rotated", "Promoted"] == 1
    assert done["rotator_current_key_created_timestamp_seconds", *OF] > created


def test_the_sessions_that_are_cut_are_counted_and_told(portal: Sandbox) -> None:
    path = measured(portal)
    assert login(portal, token(portal)) == (200, r"CORP\alice")
    assert portal.rotator("rotate", "--now").status == 0
    assert samples(path)["rotator_sessions_cut_total", *OF] == 1
    history = portal.rotator("history", "--json").result["runs"]
    assert history[0]["sessions_cut"] == 1
    assert "1 session cut" in portal.rotator("history").out


def test_a_run_that_dies_early_still_writes_what_is_known(portal: Sandbox) -> None:
    path = measured(portal)
    assert portal.rotator("rotate").status == 0
    before = samples(path)
    path.unlink()
    (portal.folder / "master.key").rename(portal.folder / "elsewhere")
    assert portal.rotator("rotate").status == 1
    after = samples(path)
    assert after["rotator_last_run_exit_status", *OF] == 1
    for name in ("rotator_next_due_timestamp_seconds", "rotator_certificate_not_after_timestamp_seconds"):
        assert after[name, *OF] == before[name, *OF]


def test_metrics_that_cannot_be_written_are_exit_5(portal: Sandbox) -> None:
    path = portal.folder / "nowhere" / "rotator.prom"
    with portal.config.open("a") as file:
        file.write(f'\n[metrics]\ntextfile = "{path}"\n')
    ended = portal.rotator("rotate", "--now", "--json")
    assert (ended.status, ended.result["outcome"]) == (5, "rotated")
    assert [error["reason"] for error in ended.json["errors"]] == ["MetricsFailed"]
    assert portal.rotator("status").status == 5
    path.parent.mkdir()
    assert portal.rotator("status").status == 0
    assert path.exists()


def test_due_stays_light_with_notices_and_metrics(portal: Sandbox) -> None:
    measured(portal)
    with portal.config.open("a") as file:
        file.write('\n[notify]\nmail = ["root"]\n')
    assert portal.rotator("status").status == 0
    code = (
        "import sys\nfrom rotator.cli.app import run\n"
        f"status = run(['--config', {str(portal.config)!r}, 'due'])\n"
        "heavy = {'requests', 'keyring', 'jwt', 'cryptography.x509', 'prometheus_client', 'rotator.notices'}\n"
        "print(status, sorted(heavy & set(sys.modules)))"
    )
    said = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "1 []"
