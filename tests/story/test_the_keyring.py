"""The main job over the keyring: another backend, an older copy, retired keys."""

import shutil

import pytest
from sandbox_process import Sandbox
from secret_service import SecretServiceDaemon


def test_the_same_with_a_secret_service(
    sandbox: Sandbox, secret_service: SecretServiceDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = sandbox.config.read_text()
    sealed = text[text.index("backend = ") : text.index("[state]")]
    sandbox.configure((sealed, 'backend = "secret-service"\n\n'))
    for command in (("create-proxy", "--yes"), ("rotate", "--now"), ("verify",)):
        ended = sandbox.rotator(*command)
        assert ended.status == 0, ended.err
    assert not (sandbox.folder / "keys").exists()
    secret_service.restart()
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", secret_service.address)
    assert sandbox.rotator("rotate", "--now").status == 0


def test_a_keyring_restored_from_a_backup_stops_every_run_but_recover(portal: Sandbox) -> None:
    backup = portal.folder / "backup"
    shutil.copytree(portal.folder / "keys", backup)
    assert portal.rotator("rotate", "--now").status == 0
    shutil.rmtree(portal.folder / "keys")
    backup.rename(portal.folder / "keys")
    stopped = portal.rotator("rotate", "--now", "--json")
    assert (stopped.status, stopped.result["reason"]) == (4, "RestoredKeyring")
    assert "rotator recover portal" in stopped.err
    # The newer key is not in the backup: it stays a matter for a person, and the older copy is not accepted by asking.
    asked = portal.rotator("recover", "--json")
    assert (asked.status, asked.result["reason"]) == (4, "Drift")
    assert portal.rotator("rotate", "--now", "--json").result["reason"] == "RestoredKeyring"
    shown = portal.rotator("status", "--json").result["server_fingerprint"]
    replaced = portal.rotator("recover", "portal", "--replace-lost-key", "--fingerprint", shown[:12])
    assert replaced.status == 0, replaced.err
    assert portal.rotator("rotate", "--now").status == 0
    assert portal.rotator("verify").status == 0


def test_prune_keeps_what_may_still_be_needed_and_asks_the_server_first(portal: Sandbox) -> None:
    for _ in range(3):
        assert portal.rotator("rotate", "--now").status == 0
    kept = portal.rotator("keys", "prune", "--keep", "0", "--json")
    assert (kept.status, kept.result["outcome"]) == (0, "unchanged")  # each was sent less than a week ago
    portal.fault("status=503@qrs#*")
    assert portal.rotator("keys", "prune", "--keep", "0").status == 1
    portal.control("DELETE", "/faults")
    assert len(portal.rotator("keys", "list", "--json").result["keys"]) == 4
