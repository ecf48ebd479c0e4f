"""rotator keys rekey and store-secret, as their user runs them."""

import base64
import os
import pwd
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from sandbox_process import ROTATOR, Sandbox
from terminal import typed


def new_key(sandbox: Sandbox, name: str = "new.key") -> Path:
    path = sandbox.folder / name
    path.write_bytes(base64.b64encode(os.urandom(32)))
    path.chmod(0o600)
    return path


def test_a_new_master_key_and_the_line_to_change(portal: Sandbox) -> None:
    new = new_key(portal)
    ended = portal.rotator("keys", "rekey", "--new-master-key", f"file:{new}")
    assert ended.status == 0, ended.err
    assert f'change {portal.config}, line 6, to: master_key = "file:{new}"' in ended.out
    refused = portal.rotator("rotate", "--now")
    assert refused.status == 1
    assert "its master key was changed by rotator keys rekey" in refused.err
    again = portal.rotator("keys", "rekey", "--new-master-key", f"file:{new}", "--json")
    assert (again.status, again.result["outcome"]) == (0, "unchanged")
    portal.configure((f"file:{portal.folder}/master.key", f"file:{new}"))
    (portal.folder / "master.key").unlink()
    assert portal.rotator("rotate", "--now").status == 0
    assert portal.rotator("verify").status == 0
    assert "keys rekey" in portal.rotator("history").out


def test_a_credential_is_a_reference_too(portal: Sandbox) -> None:
    new_key(portal, "rotator-master-key")
    ended = portal.rotator(
        "keys", "rekey", "--new-master-key", "credential:rotator-master-key", CREDENTIALS_DIRECTORY=str(portal.folder)
    )
    assert ended.status == 0, ended.err
    assert 'master_key = "credential:rotator-master-key"' in ended.out


@pytest.mark.parametrize("name", [r"C:\ProgramData\rotator\new.key", r"of\somebody's", 'in "quotes"', "new.key"])
def test_the_line_to_paste_is_toml_whatever_the_path(sandbox: Sandbox, name: str) -> None:
    made = sandbox.rotator("keys", "master-key", "--output", str(sandbox.folder / name))
    assert made.status == 0, made.err
    ended = sandbox.rotator("keys", "rekey", "--new-master-key", f"file:{sandbox.folder / name}")
    assert ended.status == 0, ended.err
    for said, mark in ((made.out, "in [keyring]: "), (ended.out, ", to: ")):
        (line,) = [line.partition(mark)[2] for line in said.splitlines() if mark in line]
        assert tomllib.loads(line) == {"master_key": f"file:{sandbox.folder / name}"}


def test_cut_short_everything_works_and_says_what_to_do(portal: Sandbox) -> None:
    new = new_key(portal)
    code = (
        "import os, signal, sys; from rotator.keystore.private_folder import PrivateFolder as F\n"
        "honest = F.write\n"
        "def write(self, name, data):\n"
        "    if '.1.sealed' in name: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    honest(self, name, data)\n"
        "F.write = write\n"
        "from rotator.cli.app import run; run(sys.argv[1:])\n"
    )
    command = ("--config", str(portal.config), "keys", "rekey", "--new-master-key", f"file:{new}")
    assert subprocess.run((sys.executable, "-c", code, *command)).returncode == -signal.SIGKILL
    other = portal.folder / "other.toml"
    other.write_text(portal.config.read_text().replace("master.key", "new.key"))
    for config in (portal.config, other):
        ended = portal.rotator("verify", config=config)
        assert ended.status == 0, ended.err
        assert "the change of the master key is not finished: run rotator keys rekey again" in ended.err
        found = portal.rotator("doctor", "--json", config=config).json["results"]
        assert [item["health"] for item in found if item["reason"] == "master-key"] == ["warning"]
    with Path("/dev/full").open("w") as full:  # nobody can be told of it
        untold = (*ROTATOR, "--config", str(portal.config), "verify")
        assert subprocess.run(untold, stdout=subprocess.DEVNULL, stderr=full).returncode == 0
    assert portal.rotator("rotate", "--now", config=other).status == 0
    ended = portal.rotator("keys", "rekey", "--new-master-key", f"file:{new}", config=other)
    assert ended.status == 0, ended.err
    assert "change" not in ended.out.replace("changed", "")
    ended = portal.rotator("verify", config=other)
    assert (ended.status, ended.err) == (0, "")
    assert portal.rotator("verify").status == 1


def test_references_that_lead_nowhere(portal: Sandbox) -> None:
    for given, status, said in (
        ("file:nowhere", 2, "is not there"),
        ("keyring:x", 2, "cannot be in it"),
        ("hunter2", 2, "must say where the secret is"),
        ("credential:x", 1, "there are no credentials here"),
        (f"file:{portal.config}", 1, "neither 32 bytes"),
    ):
        ended = portal.rotator("keys", "rekey", "--new-master-key", given)
        assert (ended.status, said in ended.err) == (status, True), (given, ended.err)
        assert "rotator: hint: " in ended.err
        assert "keyring:NAME" not in ended.err
        assert "in this file" not in ended.err
    assert portal.rotator("verify").status == 0


def test_a_lost_master_key_is_restored_and_not_made_anew(portal: Sandbox) -> None:
    master = portal.folder / "master.key"
    whole = master.read_bytes()
    for damage in (lambda: master.write_bytes(whole[:20]), master.unlink):
        damage()
        ended = portal.rotator("rotate", "--now")
        assert ended.status == 1
        assert f"keyring.master_key: file:{master}" in ended.err or "keyring.master_key: the master key in" in ended.err
        assert f"restore your copy of it: no other key opens the keyring in {portal.folder}/keys" in ended.err
        assert "keys master-key" not in ended.err
    (portal.folder / "keys" / "store.json").unlink()
    assert "restore your copy" not in portal.rotator("rotate", "--now").err


def test_secrets_are_stored_and_never_shown(portal: Sandbox) -> None:
    stored = portal.rotator("keys", "store-secret", "pfx", "--from", "-", stdin="hunter2\n")
    assert (stored.status, "hunter2" in stored.out + stored.err) == (0, False)
    assert portal.rotator("keys", "store-secret", "pfx", "--from", "-", stdin="other\n").status == 2
    assert portal.rotator("keys", "store-secret", "pfx", "--from", "-", "--replace", stdin="other\n").status == 0
    for arguments in (("a/b", "--from", "-"), ("pfx",), ("pfx", "--from", "nowhere"), ("two", "--from", "-")):
        ended = portal.rotator("keys", "store-secret", *arguments, stdin="" if "two" not in arguments else "a\nb\n")
        assert (ended.status, "rotator: hint: " in ended.err) == (2, True), ended.err


def test_a_secret_in_a_file_that_others_can_read_is_taken_with_a_warning(portal: Sandbox) -> None:
    file = portal.folder / "secret"
    file.write_text("hunter2\n")
    file.chmod(0o600)
    stored = portal.rotator("keys", "store-secret", "pfx", "--from", str(file))
    assert (stored.status, "warning" in stored.err) == (0, False), stored.err
    file.chmod(0o644)
    stored = portal.rotator("keys", "store-secret", "pfx", "--from", str(file), "--replace")
    assert stored.status == 0
    assert stored.err == (
        f"rotator: warning: --from {file} can be read by others (mode 0644): others may know this secret; "
        f"once it is taken in: chmod go= {file}; or delete it\n"
    )
    if os.geteuid() == 0:
        file.chmod(0o600)
        os.chown(file, pwd.getpwnam("daemon").pw_uid, -1)
        stored = portal.rotator("keys", "store-secret", "pfx", "--from", str(file), "--replace")
        assert stored.status == 0
        assert f"warning: --from {file} belongs to daemon, and this is root: others may know this secret" in stored.err


def test_a_secret_is_asked_for_without_echo(portal: Sandbox) -> None:
    command = (*ROTATOR, "--config", str(portal.config), "keys", "store-secret", "pfx")
    status, said = typed(command, {"Secret for keyring:pfx": "hunter2"})
    assert status == 0, said
    assert "hunter2" not in said
