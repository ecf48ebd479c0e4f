"""Owners and mode bits: rotator.ownership on POSIX."""

import os
import stat
import sys
from pathlib import Path

from rotator.accounts import account
from rotator.invocation import as_account
from rotator.ownership import Cause, Fault, Use


assert sys.platform != "win32"  # noqa: S101 - not imported there; it tells mypy so


class Modes:
    """Implements Guard by owner and mode bits."""

    def account(self) -> str:
        """The account of this process, for people."""
        return account(os.geteuid())

    def make_folder(self, path: Path) -> None:
        """Make a folder with mode 0700, and those above it, where it is not there."""
        path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def make_file(self, path: Path) -> int:
        """Make a file that is not there, with mode 0600."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)

    def fault(
        self, path: Path, use: Use, *, administrator: bool = False, follow: bool = False, opened: int | None = None
    ) -> Fault | None:
        """What is wrong with a file or folder, None where nothing is."""
        try:
            found = path.stat(follow_symlinks=follow) if opened is None else os.fstat(opened)
        except OSError as error:
            return Fault(Cause.UNREADABLE, path, f"cannot be read: {error.strerror}")
        if stat.S_ISLNK(found.st_mode):
            return Fault(Cause.LINK, path, "is a symbolic link", "name the place itself in the configuration")
        if found.st_uid not in ((0, os.geteuid()) if administrator else (os.geteuid(),)):
            owner = account(found.st_uid)
            return Fault(
                Cause.FOREIGN,
                path,
                f"belongs to {owner}, and this is {self.account()}",
                f"run it as that account: {as_account(owner)}",
            )
        mode = stat.S_IMODE(found.st_mode)
        if use is Use.PRIVATE and mode & 0o077:
            return Fault(Cause.SHARED, path, f"can be read by others (mode {mode:04o})", f"chmod go= {path}")
        if use is Use.CONFINED and mode & 0o027:
            return Fault(
                Cause.SHARED, path, f"can be read or changed by others (mode {mode:04o})", f"chmod g-w,o= {path}"
            )
        if use is Use.GUARDED and mode & 0o022:
            return Fault(Cause.SHARED, path, f"can be changed by others (mode {mode:04o})", f"chmod go-w {path}")
        return None
