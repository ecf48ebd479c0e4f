"""Who owns a file or folder, and who besides may read or change it: modes on POSIX, access lists on Windows.

What is wrong comes back as a value: each adapter says it in its own error.
"""

import os
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class Use(StrEnum):
    """What nobody else may do with a file or folder."""

    PRIVATE = "private"
    """Read or change it."""
    CONFINED = "confined"
    """Read it, but for the group of the file, or change it. Windows has no such group: there as PRIVATE."""
    GUARDED = "guarded"
    """Change it."""


class Cause(StrEnum):
    """What is wrong."""

    FOREIGN = "foreign"
    """It belongs to another account."""
    SHARED = "shared"
    """Others may use it."""
    LINK = "link"
    """It is a link, and so another place than its name says."""
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a file or folder, as `said` goes on from its name, and what to do."""

    cause: Cause
    path: Path
    said: str
    hint: str | None = None

    @property
    def message(self) -> str:
        """A whole sentence."""
        return f"{self.path} {self.said}"


class Guard(Protocol):
    """What the operating system knows of owners and rights."""

    def account(self) -> str:
        """The account of this process, for people."""

    def make_folder(self, path: Path) -> None:
        """Make a folder, and those above it, for this account alone, where it is not there. Raises OSError."""

    def make_file(self, path: Path) -> int:
        """Make a file that is not there for this account alone, open for writing in binary. Raises OSError."""

    def fault(
        self, path: Path, use: Use, *, administrator: bool = False, follow: bool = False, opened: int | None = None
    ) -> Fault | None:
        """What is wrong with a file or folder, None where nothing is.

        `administrator`: root may own it too; on Windows Administrators and SYSTEM always may. `follow`: a link is
        looked through. `opened`: the descriptor under which the file is open, so that no other is looked at.
        """

    def way(self, path: Path) -> Path | Fault:
        """Where `path` leads to in the end, without a link in it; or the first place on the way that others could change.

        What runs must be the path that is returned. All of it must belong to this account or an administrator: every
        folder from the root on, every link, and the file. In a folder like /tmp, where nobody may replace what is
        another's, that holds for what is in it alone. On Windows the file alone is looked at, as everybody may make
        folders on a drive.
        """


def guard() -> Guard:
    """That of this operating system."""
    if sys.platform == "win32":
        from rotator.ownership.access_lists import AccessLists  # noqa: PLC0415 - not elsewhere
        from rotator.windows.security import Advapi  # noqa: PLC0415

        return AccessLists(Advapi())
    else:  # noqa: RET505 - so that mypy sees one platform at a time
        from rotator.ownership.modes import Modes  # noqa: PLC0415 - not on Windows

        return Modes()


def not_roots(path: Path) -> Fault | None:
    """The place on the way to `path` whose owner could lead root elsewhere by a link; None for any other account.

    `path` need not be there yet. On Windows None: nobody is root there.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    found = guard().way(existing(path))
    return found if isinstance(found, Fault) else None


def existing(place: Path) -> Path:
    """The place, or where there is none yet the nearest folder above it that is there."""
    return next(each for each in (place, *place.absolute().parents) if each.exists())
