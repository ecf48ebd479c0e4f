"""No key, token or password anywhere but in the keyring, whatever runs and however it is told to talk."""

import base64
import subprocess
import threading
from pathlib import Path

import pytest
from sandbox_process import ROTATOR, Sandbox

from rotator.keys import PrivateKey


def needles(*keys: PrivateKey) -> list[bytes]:
    """Pieces of each private key, in the forms in which one may lie about."""
    found = []
    for key in keys:
        der = base64.b64decode(key.to_item())
        middle = der[len(der) // 2 :][:48]
        numbers = key._key.private_numbers()
        secret = numbers.d.to_bytes((numbers.d.bit_length() + 7) // 8)[:32]
        text = base64.b64encode(der)
        found += [
            middle,
            text[len(text) // 2 :][:48],
            middle.hex().encode(),
            secret,
            base64.urlsafe_b64encode(secret)[:40],
        ]
        found += key.to_pem().splitlines()[2:8]
    return found


def watched(sandbox: Sandbox, *arguments: str, stdin: str = "") -> tuple[bytes, bytes, bytes]:
    """A run with its output, and what /proc showed of its arguments and environment meanwhile."""
    process = subprocess.Popen(
        (*ROTATOR, "--config", str(sandbox.config), "-v", *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    shown: list[bytes] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            for name in ("cmdline", "environ"):
                try:
                    shown.append(Path(f"/proc/{process.pid}/{name}").read_bytes())
                except OSError:
                    return

    watcher = threading.Thread(target=look)
    watcher.start()
    out, err = process.communicate(stdin.encode(), timeout=120)
    stop.set()
    watcher.join()
    return out, err, b"".join(set(shown))


def test_nothing_leaks_from_any_command(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = sandbox.folder / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    hook = sandbox.folder / "hook"
    hook.write_text(f"#!/bin/sh\ncat > {sandbox.folder}/handed-over\nenv > {sandbox.folder}/environment\n")
    hook.chmod(0o755)
    password = (sandbox.folder / "client.pfx.password").read_bytes().strip()
    pair = f'cert = "{sandbox.folder}/client.pem"\nkey = "{sandbox.folder}/client_key.pem"\n'
    pfx = f'pfx = "{sandbox.folder}/client.pfx"\npassword = "file:{sandbox.folder}/client.pfx.password"\n'
    sandbox.configure((pair, pfx), ('consumers = "token"', f'consumers = "hook"\nhook = "{hook}"'))

    said = b""
    taken = sandbox.folder / "taken.pem"
    commands: list[tuple[str, ...]] = [
        ("create-proxy", "--yes"),
        ("rotate", "--now"),
        ("verify",),
        ("status", "--json"),
        ("doctor",),
        ("due",),
        ("keys", "list"),
        ("keys", "export", "portal"),
        ("rotate", "--now", "--dry-run"),
        ("rotate", "--prepare", "--json"),
        ("rotate", "--now", "--json"),
        ("release", "portal", "--private-to", str(taken)),
        ("adopt", "portal", "--key", str(taken)),
        ("adopt", "portal", "--key", "-"),
        ("rotate", "--now", "--all"),
    ]
    secrets = set()
    for command in commands:
        stdin = taken.read_text() if command[-1] == "-" else ""
        out, err, proc = watched(sandbox, *command, stdin=stdin)
        said += out + err + proc
        if (sandbox.folder / "handed-over").exists():
            secrets.add((sandbox.folder / "handed-over").read_bytes())
    out, err, proc = watched(sandbox, "token", "portal", "--user", r"CORP\alice")
    token = out.strip()
    said += err + proc
    assert len(secrets) >= 3
    keys = [PrivateKey.from_file_bytes(secret) for secret in secrets]

    everywhere = said
    for path in sandbox.folder.rglob("*"):
        asked_for = path.name in ("handed-over", "taken.pem") or path.name.startswith(("client", "server", "stranger"))
        if path.is_file() and not asked_for:
            everywhere += path.read_bytes()
    wanted = [*needles(*keys), password, token, b"eyJ"]
    assert [needle for needle in wanted if needle in everywhere] == []
    assert list(temporary.iterdir()) == []
    # The search itself finds what is planted.
    planted = everywhere + keys[0].to_pem()
    assert any(needle in planted for needle in needles(keys[0]))
    environment = (sandbox.folder / "environment").read_text()
    assert "ROTATOR_DELIVERY_ID=" in environment
    assert "PRIVATE" not in environment


def test_a_hook_that_fails_is_tried_again_with_the_same_id(sandbox: Sandbox) -> None:
    hook = sandbox.folder / "hook"
    hook.write_text(
        f'#!/bin/sh\necho "$ROTATOR_DELIVERY_ID" >> {sandbox.folder}/ids\ncat\necho "no: $(cat)" >&2\n[ -e {sandbox.folder}/mended ]\n'
    )
    hook.chmod(0o755)
    sandbox.configure(('consumers = "token"', f'consumers = "hook"\nhook = "{hook}"'))
    assert sandbox.rotator("create-proxy", "--yes").status == 5
    assert sandbox.rotator("due").status == 0
    again = sandbox.rotator("rotate", "--json")
    assert (again.status, again.result["reason"]) == (5, "NotDelivered")
    (sandbox.folder / "mended").touch()
    assert sandbox.rotator("rotate", "--json").result["outcome"] == "delivered"
    assert sandbox.rotator("due").status == 1
    ids = (sandbox.folder / "ids").read_text().split()
    assert len(ids) == 3
    assert len(set(ids)) == 1


def test_an_old_token_is_all_that_a_log_of_requests_could_hold(portal: Sandbox) -> None:
    portal.rotator("verify")
    assert "eyJ" not in str(portal.control("GET", "/requests"))


def test_output_files_are_never_overwritten(portal: Sandbox) -> None:
    there = portal.folder / "there"
    there.write_text("mine")
    for command in (
        ("keys", "export", "portal", "--private", "--output", str(there)),
        ("release", "portal", "--private-to", str(there)),
    ):
        assert portal.rotator(*command).status != 0
    assert there.read_text() == "mine"
    assert portal.rotator("keys", "export", "portal", "--private").status == 2
    assert list((portal.folder / "keys").iterdir())
