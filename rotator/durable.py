"""Files put in place of others, whole and for good, also where somebody has them open.

A file that was synced is lost in a power cut all the same while the folder it stands in was not.
"""

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar


T = TypeVar("T")
BUSY: Final = (5, 32)
"""ERROR_ACCESS_DENIED and ERROR_SHARING_VIOLATION: on Windows a file that is open, in a reader, a backup or a virus
scanner, can for that time not be replaced, nor one that is being replaced be opened."""
PATIENCE: Final = 2.0
"""Seconds to go on trying."""
_PAUSE: Final = 0.02


def replaced(temporary: Path, path: Path) -> None:
    """Put `temporary` in the place of `path` in one step, and sync the folder. Raises OSError."""
    patiently(lambda: temporary.replace(path))
    sync_folder(path.parent)


def patiently(
    attempt: Callable[[], T],
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> T:
    """What `attempt` gives, tried again for a while where Windows says that the file is in use. Raises OSError."""
    start = clock()
    while True:
        try:
            return attempt()
        except PermissionError as error:
            if getattr(error, "winerror", None) not in BUSY or clock() - start > PATIENCE:
                raise
        pause(_PAUSE)


def sync_folder(folder: Path) -> None:
    """Sync the entries of a folder: what was made, renamed or removed in it. Raises OSError.

    On Windows the file system's log does that.
    """
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_place(folder: Path) -> None:
    """Sync the folders above a new folder, so that its own entry lasts; those that this account may not read are not ours."""
    for above in folder.absolute().parents:
        with suppress(OSError):
            sync_folder(above)
