"""A lock that is held, by whom, and one that somebody only looks at."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from values import NOW

from rotator.errors import (
    LockHeld,
)
from rotator.state import lock


def test_a_lock_names_its_owner(tmp_path: Path) -> None:
    with (
        lock.held(tmp_path, "site x", "rotate", NOW),
        pytest.raises(LockHeld, match=r"rotate of .* since 2026-11-24 12:00:00 UTC"),
    ):
        with lock.held(tmp_path, "site x", "verify", NOW):
            raise AssertionError
    with lock.held(tmp_path, "site x", "verify", NOW):
        pass


def owner(state: Path) -> Path:
    return state / "locks" / "site_x.owner"


def stale(state: Path) -> None:
    """What one that was killed days ago has left."""
    with lock.held(state, "site x", "rotate", NOW):
        pass
    told = {"user": "gone", "pid": 1, "command": "rotate", "since": "long ago"}
    owner(state).write_text(json.dumps(told), encoding="utf-8")


def told_to_a_loser(state: Path) -> str:
    with pytest.raises(LockHeld) as caught, lock.held(state, "site x", "verify", NOW):
        raise AssertionError
    return caught.value.message


def test_who_has_let_go_is_named_no_more(tmp_path: Path) -> None:
    with lock.held(tmp_path, "site x", "rotate", NOW):
        assert owner(tmp_path).exists()
    assert not owner(tmp_path).exists()
    with pytest.raises(ZeroDivisionError), lock.held(tmp_path, "site x", "rotate", NOW):
        raise ZeroDivisionError
    assert not owner(tmp_path).exists()


@pytest.mark.parametrize("disk", ["well", "full"])
def test_who_was_killed_long_ago_is_not_named_for_who_holds_it_now(
    tmp_path: Path, disk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale(tmp_path)
    opened = os.open

    def full(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if str(path).endswith(".owner"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return opened(path, flags, *rest, **more)

    if disk == "full":
        monkeypatch.setattr(os, "open", full)
    with lock.held(tmp_path, "site x", "recover", NOW):
        told = told_to_a_loser(tmp_path)
    assert "gone" not in told
    assert ("another rotator" if disk == "full" else "rotator recover of") in told


def test_a_name_that_cannot_be_removed_keeps_nobody_out(tmp_path: Path) -> None:
    owner(tmp_path).mkdir(parents=True)
    with lock.held(tmp_path, "site x", "recover", NOW):
        assert "another rotator" in told_to_a_loser(tmp_path)
    with lock.held(tmp_path, "site x", "recover", NOW):
        pass


def test_a_link_in_place_of_the_name_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "somebody's"
    target.write_text("theirs", encoding="utf-8")
    (tmp_path / "locks").mkdir()
    owner(tmp_path).symlink_to(target)
    with lock.held(tmp_path, "site x", "recover", NOW):
        assert not owner(tmp_path).is_symlink()
        assert "rotator recover of" in told_to_a_loser(tmp_path)
        owner(tmp_path).unlink()
        owner(tmp_path).symlink_to(target)
    assert not owner(tmp_path).is_symlink()
    assert target.read_text(encoding="utf-8") == "theirs"


@contextmanager
def process(state: Path, code: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that has begun what `code` does, and is killed in the end."""
    lines = "from datetime import UTC, datetime\nimport pathlib, sys, threading\nfrom rotator.state import lock\n"
    lines += "state = pathlib.Path(sys.argv[1])\n"
    with subprocess.Popen((sys.executable, "-c", lines + code, str(state)), stdout=subprocess.PIPE, text=True) as made:
        assert made.stdout is not None
        try:
            assert made.stdout.readline() == "begun\n"
            yield made
        finally:
            made.kill()


LOOKING = """
seen = 0
while True:
    seen += lock.idle(state, "site x")
    if seen == 1:
        print("begun", flush=True)
"""
HOLDING = """
with lock.held(state, "site x", "rotate", datetime.now(UTC)):
    print("begun", flush=True)
    threading.Event().wait()
"""


def test_somebody_who_only_looks_keeps_nobody_out(tmp_path: Path) -> None:
    with lock.held(tmp_path, "site x", "rotate", NOW):
        pass
    with process(tmp_path, LOOKING):
        for _ in range(100):
            with lock.held(tmp_path, "site x", "rotate", NOW):
                pass


def test_an_owner_that_is_killed_leaves_neither_the_lock_nor_its_name(tmp_path: Path) -> None:
    with process(tmp_path, HOLDING) as other:
        assert f"(process {other.pid})" in told_to_a_loser(tmp_path)
        assert not lock.idle(tmp_path, "site x")
    assert str(other.pid) in owner(tmp_path).read_text(encoding="utf-8")
    assert lock.idle(tmp_path, "site x")
    with lock.held(tmp_path, "site x", "recover", NOW):
        told = told_to_a_loser(tmp_path)
    assert f"(process {os.getpid()})" in told
    assert str(other.pid) not in told.replace(str(os.getpid()), "")
