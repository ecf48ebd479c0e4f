"""No key, token or password anywhere but in the keyring, whatever runs and however it is told to talk."""

import pytest
import sweep
from sandbox_process import ROTATOR, Sandbox

from rotator.keys import PrivateKey


ASKED_FOR = ("handed-over", "taken.pem", "client", "server", "stranger")
"""Files that hold secrets because they are meant to."""


def test_nothing_leaks_from_any_command(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = sandbox.folder / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    hook = sandbox.folder / "hook"
    hook.write_text(
        f"#!/bin/sh\ncat > {sandbox.folder}/handed-over\nenv > {sandbox.folder}/environment\n"
        f'echo "$0 $*" >> {sandbox.folder}/arguments\n'
    )
    hook.chmod(0o755)
    password = (sandbox.folder / "client.pfx.password").read_bytes().strip()
    pair = f'cert = "{sandbox.folder}/client.pem"\nkey = "{sandbox.folder}/client_key.pem"\n'
    pfx = f'pfx = "{sandbox.folder}/client.pfx"\npassword = "file:{sandbox.folder}/client.pfx.password"\n'
    sandbox.configure((pair, pfx), ('consumers = "token"', f'consumers = "hook"\nhook = "{hook}"'))

    said: dict[str, bytes] = {}

    def watched(*arguments: str, stdin: str = "") -> dict[str, bytes]:
        command = (*ROTATOR, "--config", str(sandbox.config), "-v", *arguments)
        seen = sweep.Watched(command, asked_for=ASKED_FOR).run(stdin.encode())
        assert seen["/proc/PID/cmdline"]
        return {f"{' '.join(arguments)}: {place}": content for place, content in seen.items()}

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
        said |= watched(*command, stdin=stdin)
        if (sandbox.folder / "handed-over").exists():
            secrets.add((sandbox.folder / "handed-over").read_bytes())
    signed = watched("token", "portal", "--user", r"CORP\alice")
    (asked_for,) = (place for place in signed if place.endswith("stdout"))
    token = signed.pop(asked_for).strip()
    said |= signed
    assert len(secrets) >= 3
    keys = [PrivateKey.from_file_bytes(secret) for secret in secrets]

    said |= sweep.files(sandbox.folder, *ASKED_FOR)
    needles = sweep.of_keys(*keys) | sweep.of_secret("password", password) | sweep.of_secret("token", token)
    assert sweep.hits(said, needles) == []
    assert list(temporary.iterdir()) == []
    environment = (sandbox.folder / "environment").read_text()
    assert "ROTATOR_DELIVERY_ID=" in environment
    assert "PRIVATE" not in environment
    assert set((sandbox.folder / "arguments").read_text().splitlines()) == {f"{hook} "}


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
