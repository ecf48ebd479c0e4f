"""Owners and mode bits: rotator.ownership on POSIX."""

import os
import stat
import sys
from pathlib import Path
from typing import Final

from rotator.accounts import account
from rotator.invocation import as_account
from rotator.ownership import Cause, Fault, Use


assert sys.platform != "win32"  # noqa: S101 - not imported there; it tells mypy so

_MOST_LINKS: Final = 40
"""As many as Linux follows on a way."""


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
            return self._foreign(path, found)
        mode = stat.S_IMODE(found.st_mode)
        if use is Use.PRIVATE and mode & 0o077:
            return Fault(Cause.SHARED, path, f"can be read by others (mode {mode:04o})", f"chmod go= {path}")
        if use is Use.CONFINED and mode & 0o027:
            return Fault(
                Cause.SHARED, path, f"can be read or changed by others (mode {mode:04o})", f"chmod g-w,o= {path}"
            )
        return _shared(path, found) if use is Use.GUARDED else None

    def way(self, path: Path) -> Path | Fault:
        """Where a path leads to, or the first place on the way that others could change."""
        here, ahead, links = Path("/"), [*reversed(path.absolute().parts[1:])], 0
        while True:
            try:
                found = here.lstat()
                target = here.readlink() if stat.S_ISLNK(found.st_mode) else None
            except OSError as error:
                return Fault(Cause.UNREADABLE, here, f"cannot be read: {error.strerror}")
            fault = self._on_the_way(here, found)
            if fault is not None:
                return fault
            if target is not None:
                links += 1
                if links > _MOST_LINKS:
                    return Fault(Cause.UNREADABLE, path, "leads from link to link without an end")
                here = Path("/") if target.is_absolute() else here.parent
                ahead += reversed([part for part in target.parts if part != "/"])
            if not ahead:
                return here
            part = ahead.pop()
            here = here.parent if part == ".." else here / part

    def _on_the_way(self, path: Path, found: os.stat_result) -> Fault | None:
        """What is wrong with one place of a way: its owner, or who may change it, but for a link, which nobody may."""
        if found.st_uid not in (0, os.geteuid()):
            return self._foreign(path, found)
        kept = stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_ISVTX
        return None if kept or stat.S_ISLNK(found.st_mode) else _shared(path, found)

    def _foreign(self, path: Path, found: os.stat_result) -> Fault:
        owner = account(found.st_uid)
        return Fault(
            Cause.FOREIGN,
            path,
            f"belongs to {owner}, and this is {self.account()}",
            f"run it as that account: {as_account(owner)}",
        )


def _shared(path: Path, found: os.stat_result) -> Fault | None:
    mode = stat.S_IMODE(found.st_mode)
    if not mode & 0o022:
        return None
    return Fault(Cause.SHARED, path, f"can be changed by others (mode {mode:04o})", f"chmod go-w {path}")
