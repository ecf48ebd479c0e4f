"""No key, token or password anywhere but in the keyring, whatever runs and however it is told to talk."""

import base64
import re
import sys
from collections.abc import Iterator

import pytest
import sweep
from machine.oracle import Oracle
from old_keys import let_retired_keys_age
from sandbox_process import Sandbox

from rotator.keys import PrivateKey


ASKED_FOR = ("handed-over", "taken.pem", "tapped", "client", "server", "stranger", "master.key")
"""Files that hold secrets because they are meant to."""
TAPPED = (
    sys.executable,
    "-c",
    """
import os
from rotator.cli import wiring
made = wiring.KeyMaker.generate
def tapped(maker, bits):
    key = made(maker, bits)
    with open(os.environ["TAP"], "ab") as tap:
        tap.write(key.to_pem())
    return key
wiring.KeyMaker.generate = tapped
from rotator.__main__ import main
main()
""",
)
"""rotator, with every key that it makes written down: of some nothing is left, in no keyring."""
SEEN_BY_ROOT = {"/proc/PID/cmdline", "/proc/PID/environ", "/proc/PID/fd"}
JOURNAL = b"SQLite format 3\0"


class Site:
    """A sandbox whose commands are watched: what was seen of them, and what must not have been."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.said: dict[str, bytes] = {}
        self.tap = sandbox.folder / "tapped"
        self.taken = sandbox.folder / "taken.pem"
        self.stored: set[str] = set()
        self._oracle = Oracle(sandbox.folder, sandbox.ready, sandbox.folder, lambda: 0.0)

    def run(self, *arguments: str, exits: int = 0, stdin: bytes = b"") -> dict[str, bytes]:
        """Run a command. What was seen of it is kept, and returned."""
        command = (*TAPPED, "--config", str(self.sandbox.config), "-v", *arguments)
        watched = sweep.Watched(command, asked_for=ASKED_FOR)
        seen = watched.run(stdin)
        assert watched.status == exits, seen["stderr"].decode()
        assert seen["/proc/PID/cmdline"]
        if sweep.may(sweep.SYS_PTRACE):
            assert watched.refused.isdisjoint(SEEN_BY_ROOT), watched.refused
            assert b"TAP=" in seen["/proc/PID/environ"]
            assert "/proc/PID/fd" in seen
        told = {f"{len(self.said)} {' '.join(arguments)}: {place}": content for place, content in seen.items()}
        self.said |= told
        self.stored |= self._oracle.keyring().keys.keys()
        return seen

    def made(self) -> Iterator[PrivateKey]:
        """Every key that was ever made here."""
        for pem in re.findall(rb"-----BEGIN.+?-----END[^\n]+\n", self.tap.read_bytes(), re.DOTALL):
            yield PrivateKey.from_file_bytes(pem)

    def paste(self, certificate: str) -> None:
        """Somebody puts a certificate there in the QMC."""
        entity = self.sandbox.virtual_proxy()
        body = {**entity, "jwtPublicKeyCertificate": certificate}
        self.sandbox.qrs("PUT", f"/qrs/virtualproxyconfig/{entity['id']}", body)


@pytest.fixture
def site(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Site:
    """One with a hook, and a password in its configuration."""
    temporary = sandbox.folder / "tmp"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setenv("TAP", str(sandbox.folder / "tapped"))
    hook = sandbox.folder / "hook"
    hook.write_text(
        f"#!/bin/sh\ncat > {sandbox.folder}/handed-over\nenv > {sandbox.folder}/environment\n"
        f'echo "$0 $*" >> {sandbox.folder}/arguments\n'
    )
    hook.chmod(0o755)
    pair = f'cert = "{sandbox.folder}/client.pem"\nkey = "{sandbox.folder}/client_key.pem"\n'
    pfx = f'pfx = "{sandbox.folder}/client.pfx"\npassword = "file:{sandbox.folder}/client.pfx.password"\n'
    sandbox.configure(
        (pair, pfx),
        ('consumers = "token"', f'consumers = "hook"\nhook = "{hook}"'),
    )
    return Site(sandbox)


def test_nothing_leaks_from_any_command(site: Site) -> None:
    sandbox, taken = site.sandbox, site.taken
    site.run("create-proxy", "--yes")
    first = sandbox.virtual_proxy()["jwtPublicKeyCertificate"]
    site.run("rotate", "--now")
    for command in (("verify",), ("status", "--json"), ("doctor",), ("keys", "list"), ("keys", "export", "portal")):
        site.run(*command)
    site.run("due", exits=1)
    site.run("rotate", "--now", "--dry-run")
    site.run("rotate", "--prepare", "--json")
    site.run("rotate", "--now", "--json")
    goes_wrong(site)
    site.run("rollback", "portal")
    site.paste(first)
    site.run("recover", "portal")
    let_retired_keys_age(sandbox)
    before = len(site.stored)
    assert b"deleted" in site.run("keys", "prune", "--keep", "0")["stdout"]
    assert len(site.stored) == before
    site.run("history")
    site.run("history", "--json")
    site.run("release", "portal", "--private-to", str(taken))
    site.run("adopt", "portal", "--key", str(taken))
    site.run("adopt", "portal", "--key", "-", stdin=taken.read_bytes())
    site.run("rotate", "--now", "--all")
    signed = site.run("token", "portal", "--user", r"CORP\alice")
    token = signed["stdout"].strip()
    (asked_for,) = (place for place, content in site.said.items() if content == signed["stdout"] and token)
    del site.said[asked_for]

    keys = {key.fingerprint: key for key in site.made()}
    assert site.stored <= keys.keys()
    assert len(keys) > len(site.stored)  # some were never kept
    assert PrivateKey.from_file_bytes((sandbox.folder / "handed-over").read_bytes()).fingerprint in keys
    master = base64.b64decode((sandbox.folder / "master.key").read_bytes())
    password = (sandbox.folder / "client.pfx.password").read_bytes().strip()
    secrets = {"password": password, "the token": token, "master key": master}
    needles = sweep.of_keys(*keys.values())
    for name, secret in secrets.items():
        needles |= sweep.of_secret(name, secret)
    places = site.said | sweep.files(sandbox.folder, *ASKED_FOR)
    assert sweep.hits(places, needles) == []
    if sweep.may(sweep.SYS_PTRACE):
        # What the processes had open was looked into.
        assert any(JOURNAL in content for place, content in site.said.items() if place.endswith("/proc/PID/fd"))
    assert list((sandbox.folder / "tmp").iterdir()) == []
    environment = (sandbox.folder / "environment").read_text()
    assert "ROTATOR_DELIVERY_ID=" in environment
    assert "PRIVATE" not in environment
    assert set((sandbox.folder / "arguments").read_text().splitlines()) == {f"{sandbox.folder / 'hook'} "}

    # The canary: each of these secrets alone, where all of them were looked for, is found.
    canaries = {**secrets, **{key.fingerprint[:12]: key.to_pem() for key in keys.values()}}
    for name, canary in canaries.items():
        (sandbox.folder / "state" / name).write_bytes(b"before " + canary + b" after")
    found = {tuple(hit.split(": ")[:2]) for hit in sweep.hits(sweep.files(sandbox.folder / "state"), needles)}
    assert {(name, name) for name in canaries} <= found
    assert {place for place, _ in found} == canaries.keys()


def goes_wrong(site: Site) -> None:
    """Rotations that fail: one is undone, as a proxy stays on the old key, and of one nothing ever arrives."""
    site.sandbox.fault("stuck=rim1.localhost")
    undone = site.run("rotate", "--now", "--json", exits=1)
    assert b'"Undone"' in undone["stdout"]
    site.sandbox.control("DELETE", "/faults")
    site.sandbox.fault("status=403@qrs:PUT#*")
    kept = len(site.stored)
    site.run("rotate", "--now", exits=1)
    assert len(site.stored) == kept
    site.sandbox.control("DELETE", "/faults")


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
