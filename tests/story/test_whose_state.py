"""The state directory of another account: no command works in it, and nothing that was planted there has an effect."""

import json
import os
import pwd
import sqlite3
import stat
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sampling import sample
from sandbox_process import ROTATOR, Ended, Sandbox

from rotator.cli.app import app
from rotator.cli.keys import keys
from rotator.errors import ConfigError, InstallationMismatch
from rotator.model import Notice, NoticeEvent
from rotator.state import database, directory, figures, journal, lock, outbox
from rotator.state.journal import Journal
from rotator.state.outbox import Outbox


ROOT = os.geteuid() == 0
DAEMON = pwd.getpwnam("daemon").pw_uid
TEXT = "a text of the account"
LEFT_OUT = {
    "init", "install-units", "install-task", "sandbox", "demo",  # none that they did not make themselves
    "daemon",  # its children do, which are the commands below
    "keys master-key",
}  # fmt: skip
MAGIC = bytes.fromhex("d9d505f920a163d7")
"""Of a rollback journal of SQLite."""
ANOTHER = """
import os
from rotator.__main__ import main
from rotator.ownership.modes import Modes
from rotator.state import directory

class As(Modes):
    def fault(self, *given, **named):
        mine, os.geteuid = os.geteuid, lambda: {}
        try:
            return super().fault(*given, **named)
        finally:
            os.geteuid = mine

directory.guard = As
main()
"""
"""rotator, to which the state directory looks as it does to another account."""


@dataclass
class Plant:
    """A state directory with everything in it that a run could be led astray by, and what is outside of it."""

    sandbox: Sandbox
    outside: Path

    @property
    def state(self) -> Path:
        return self.sandbox.folder / "state"

    def given(self, runner: int, owner: int) -> None:
        """Give everything to `runner`, and the state directory to `owner`; what is outside of it stays root's."""
        for place, uid in ((self.sandbox.folder, runner), (self.state, owner), (self.outside, 0)):
            for path in (place, *place.rglob("*")):
                os.chown(path, uid, uid, follow_symlinks=False)

    def rotator(self, uid: int, *arguments: str) -> Ended:
        """Run rotator as `uid`, or, where only root could, as `ANOTHER` tells."""
        if ROOT and not uid:
            return self.sandbox.rotator(*arguments)
        # The interpreter may lie in a folder of root.
        read = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
        other = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *read)
        command = (*other, *ROTATOR) if ROOT else (*ROTATOR[:1], "-c", ANOTHER.format(uid))
        ended = subprocess.run(
            (*command, "--config", str(self.sandbox.config), *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def seen(self) -> dict[str, object]:
        """What is in the state directory and outside of it."""
        found: dict[str, object] = {}
        for place in (self.state, self.outside):
            for path in (place, *place.rglob("*")):
                told = path.lstat()
                content = path.read_bytes() if stat.S_ISREG(told.st_mode) else None
                found[str(path)] = (oct(told.st_mode), told.st_uid, told.st_mtime_ns, content)
        return found


def hot_journal(file: Path, names: Path) -> bytes:
    """A rollback journal of `file` that was left by a crash, one of several under the super-journal `names`."""
    size, page = file.stat().st_size, 4096
    name = str(names).encode()
    header = MAGIC + struct.pack(">5I", 0, 0, size // page, 512, page)
    last = struct.pack(">I", 0x40000000 // page + 1) + name + struct.pack(">2I", len(name), sum(name)) + MAGIC
    return header.ljust(512, b"\0") + last


def planted(sandbox: Sandbox, outside: Path) -> Plant:
    state = sandbox.folder / "state"
    outside.mkdir()
    for name in ("deleted", "written"):
        (outside / name).write_text("of root")
    with Outbox(state) as box:
        now = datetime.now(UTC)
        box.put("", "", Notice("n", NoticeEvent.FAILED, "h", "", "", "rotate", "r", 1, TEXT, "", "", now), ())
    with sqlite3.connect(state / database.FILE) as opened:
        opened.execute("PRAGMA journal_mode = DELETE")
    opened.close()
    (state / f"{database.FILE}-journal").write_bytes(hot_journal(state / database.FILE, outside / "deleted"))
    locks = {path.name.rpartition(".")[0] for path in (state / "locks").iterdir()} | {"notices", "metrics", "keyring"}
    for name in locks:
        for kind in ("owner", "lock"):
            (state / "locks" / f"{name}.{kind}").unlink(missing_ok=True)
            (state / "locks" / f"{name}.{kind}").symlink_to(outside / "written")
    (state / "installation.new").symlink_to(outside / "written")
    return Plant(sandbox, outside)


@pytest.fixture
def plant(portal: Sandbox) -> Plant:
    hook = portal.folder / "hooks" / "10-told"
    hook.parent.mkdir()
    hook.write_text(f'#!/bin/sh\necho "$ROTATOR_MESSAGE" >>{portal.folder}/told\n')
    hook.chmod(0o755)
    textfile = portal.folder / "rotator.prom"
    portal.configure(
        ("[state]", f'[notify]\nhooks = "{hook.parent}"\n[metrics]\ntextfile = "{textfile}"\n[state]'),
    )
    (portal.folder / "master").write_bytes(bytes(32))
    (portal.folder / "master").chmod(0o600)
    (portal.folder / "other.toml").write_text(portal.config.read_text().replace("keys", "moved"))
    portal.forget_requests()
    return planted(portal, portal.folder / "outside")


def every_command(plant: Plant) -> dict[str, tuple[str, ...]]:
    """All that may touch the state directory, with the arguments of a call that would change something."""
    folder = plant.sandbox.folder
    return {
        "create-proxy": ("--yes",),
        "adopt": ("portal", "--key", str(folder / "client_key.pem")),
        "rotate": ("portal", "--now", "--yes"),
        "due": (),
        "verify": (),
        "status": (),
        "history": (),
        "rollback": ("portal", "--yes"),
        "recover": (),
        "token": ("portal", "--user", r"DIR\someone"),
        "release": ("portal", "--yes"),
        "notify": (),
        "doctor": (),
        "keys migrate": ("--to", str(folder / "other.toml")),
        "keys rekey": ("--new-master-key", f"file:{folder}/master"),
        "keys store-secret": ("x", "--from", str(folder / "master")),
        "keys list": (),
        "keys prune": (),
        "keys export": ("portal",),
    }


def test_every_command_is_among_them(plant: Plant) -> None:
    there = {command.name for command in app.registered_commands}
    there |= {
        f"keys {command.name or command.callback.__name__}" for command in keys.registered_commands if command.callback
    }
    assert {*every_command(plant), *LEFT_OUT} == there


def test_what_is_planted_would_be_followed_by_its_own_account(plant: Plant) -> None:
    """So that the test below shows something: what is there is what SQLite and a lock of rotator trip over."""
    with sqlite3.connect(plant.state / database.FILE) as opened:
        opened.execute("SELECT * FROM run").fetchall()
    opened.close()
    assert not (plant.outside / "deleted").exists()


@pytest.mark.parametrize(("runner", "owner"), [(0, DAEMON), (DAEMON, 0)], ids=["root", "another"])
def test_no_command_touches_the_state_directory_of_another_account(
    plant: Plant, runner: int, owner: int, pytestconfig: pytest.Config
) -> None:
    """Root runs all of them, which costs little; another account a sample, each in an interpreter that is started for it."""
    if ROOT:
        plant.given(runner, owner)
    before = plant.seen()
    commands = every_command(plant)
    for command in sample(pytestconfig, "another's state", list(commands), 6 if runner else len(commands)):
        arguments = commands[command]
        ended = plant.rotator(runner, *command.split(), *arguments)
        assert ended.status == {"due": 255, "doctor": 1}.get(command, 78), (command, ended.out, ended.err)
        assert "belongs to" in ended.out + ended.err, (command, ended.err)
        assert "run it as that account: sudo -u " in ended.err, (command, ended.err)
        assert plant.seen() == before, command
    told = plant.sandbox.folder / "told"
    assert not told.exists() or TEXT not in told.read_text()
    assert plant.sandbox.requests("qrs", "PUT", "POST", "DELETE") == []


NOW = datetime.now(UTC)
DOORS: dict[str, Callable[[Path], object]] = {
    "prepare": directory.prepare,
    "installation": directory.installation,
    "write installation": lambda state: directory.write_installation(state, "x"),
    "lock": lambda state: lock.held(state, "site x", "rotate", NOW).__enter__(),
    "journal": lambda state: Journal(state, lambda: NOW, lambda: 0, print),
    "read journal": lambda state: journal.read(state, [("", "")], 1),
    "outbox": Outbox,
    "due": lambda state: outbox.due(state, "portal", [], NOW),
    "warned": outbox.warned,
    "note": lambda state: figures.note(state, []),
    "standings": figures.standings,
    "figures": figures.read,
}
LOOKING = {"installation", "read journal", "due", "warned", "standings"}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_asks_first_whose_it_is(door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state"
    if door in LOOKING:
        assert not DOORS[door](state)
        assert not state.exists(), "who only looks makes nothing"
    state.mkdir(mode=0o770)
    state.chmod(0o770)
    with pytest.raises(ConfigError, match="can be changed by others"):
        DOORS[door](state)
    state.chmod(0o700)
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    with pytest.raises(InstallationMismatch, match="belongs to") as caught:
        DOORS[door](state)
    assert "run it as that account" in (caught.value.hint or "")
    assert list(state.iterdir()) == []


def test_who_holds_a_lock_is_written_through_no_link(tmp_path: Path) -> None:
    (tmp_path / "state" / "locks").mkdir(parents=True, mode=0o700)
    (tmp_path / "state").chmod(0o700)
    (tmp_path / "victim").write_text("whole")
    (tmp_path / "state" / "locks" / "one.owner").symlink_to(tmp_path / "victim")
    for name in ("one", "two"):
        with lock.held(tmp_path / "state", name, "rotate", NOW):
            told = (tmp_path / "state" / "locks" / f"{name}.owner").lstat()
            assert (stat.S_ISREG(told.st_mode), stat.S_IMODE(told.st_mode)) == (True, 0o600)
    assert (tmp_path / "victim").read_text() == "whole"


def test_a_notice_that_somebody_wrote_into_the_file_comes_out_plain(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with Outbox(tmp_path) as box:
        box.put("", "", Notice("n", NoticeEvent.FAILED, "h", "", "", "rotate", "r", 1, TEXT, "", "", NOW), ())
    with sqlite3.connect(tmp_path / database.FILE) as opened:
        evil = json.dumps("x\n\x1b[2JFrom: root").removeprefix('"').removesuffix('"')
        opened.execute("UPDATE notice SET content = replace(content, ?, ?)", (TEXT, evil))
        opened.execute("UPDATE notice SET content = replace(content, ?, ?)", ('"host": "h"', '"host": "a\\nb"'))
    opened.close()
    with Outbox(tmp_path) as box:
        (waiting,) = box.waiting()
    assert (waiting.notice.message, waiting.notice.host, waiting.notice.at) == ("x  [2JFrom: root", "a b", NOW)
