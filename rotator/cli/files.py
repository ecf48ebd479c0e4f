"""New files that a command is asked to write."""

import os
from collections.abc import Callable
from pathlib import Path

from rotator.durable import sync_folder
from rotator.errors import UsageError
from rotator.ownership import guard


def write_private(path: Path, data: bytes) -> None:
    """Write a secret to a file that did not exist, for its owner alone from the first instant, for good.

    Nothing is left of it where it cannot be written whole. Raises UsageError.
    """
    _write(path, data, lambda: guard().make_file(path))


def write_new(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file that did not exist, whole and synced. Raises UsageError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    _write(path, data, lambda: os.open(path, flags, mode))


def _write(path: Path, data: bytes, opened: Callable[[], int]) -> None:
    try:
        with os.fdopen(opened(), "wb") as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                sync_folder(path.parent)
            except OSError:
                path.unlink()
                raise
    except FileExistsError:
        raise UsageError(
            f"{path} is there already", hint="name a file that does not exist: nothing is overwritten"
        ) from None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", hint="name a file in a folder of yours"
        ) from None
