"""Files for private keys, which are written once and for good."""

import errno
import os
import stat
from pathlib import Path

import pytest

from rotator.cli.files import write_private
from rotator.errors import UsageError


def test_the_file_is_there_for_good_with_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[bool] = []

    def fsync(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))

    monkeypatch.setattr(os, "fsync", fsync)
    write_private(tmp_path / "taken.pem", b"secret")
    assert synced == [False, True]


def test_nothing_is_left_of_a_file_that_found_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(UsageError, match="No space left"):
            write_private(tmp_path / "taken.pem", b"secret")
    assert not (tmp_path / "taken.pem").exists()
    write_private(tmp_path / "taken.pem", b"secret")
