"""Entries of folders that outlast a power cut: a file that was synced is lost all the same while its folder was not."""

import os
from contextlib import suppress
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Sync the entries of a folder: what was made, renamed or removed in it. Raises OSError. On Windows none is needed."""
    if os.name != "posix":
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
