"""New files that a command is asked to write."""

import os
from pathlib import Path

from rotator.errors import UsageError


def write_private(path: Path, data: bytes) -> None:
    """Write a private key to a file that did not exist, for its owner alone. Raises UsageError."""
    write_new(path, data, mode=0o600)


def write_new(path: Path, data: bytes, *, mode: int) -> None:
    """Write a file that did not exist, whole and synced. Raises UsageError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0), mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise UsageError(
            f"{path} is there already", hint="name a file that does not exist: nothing is overwritten"
        ) from None
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", hint="name a file in a folder of yours"
        ) from None
