"""Ownership and access lists in place of modes: rotator.ownership on Windows."""

import os
import stat
from pathlib import Path
from typing import Final, Protocol

from rotator.ownership import Cause, Fault, Use
from rotator.windows import access


_RIGHTS: Final = {Use.PRIVATE: access.USE, Use.CONFINED: access.USE, Use.GUARDED: access.CHANGE}
_VERB: Final = {
    Use.PRIVATE: "read or changed",
    Use.CONFINED: "read or changed",
    Use.GUARDED: "changed",
}


class Security(Protocol):
    """What Windows is asked for: see rotator.windows.security. Every method raises OSError."""

    def descriptor(self, path: Path) -> str:
        """Owner and access list of a file or folder, as SDDL."""

    def me(self) -> str:
        """The account of this process, as SDDL names it."""

    def name(self, sid: str) -> str:
        """An account's name for people."""

    def make_folder(self, path: Path, descriptor: str) -> None:
        """A new folder with an access list."""

    def make_file(self, path: Path, descriptor: str) -> int:
        """A new file with an access list, open for writing."""


class AccessLists:
    """Implements ownership.Guard. Administrators and SYSTEM are trusted, as they can take everything anyway."""

    def __init__(self, security: Security) -> None:
        self._security = security

    def account(self) -> str:
        """The account of this process, for people."""
        return self._security.name(self._security.me())

    def make_folder(self, path: Path) -> None:
        """Make a folder, and those above it that are missing, for this account, Administrators and SYSTEM."""
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        for folder in reversed(missing):
            try:
                self._security.make_folder(folder, access.private(self._security.me(), folder=True))
            except FileExistsError:
                # Another rotator was quicker; whether it is private is looked at like that of any other.
                continue

    def make_file(self, path: Path) -> int:
        """Make a file for this account, Administrators and SYSTEM, open for writing."""
        return self._security.make_file(path, access.private(self._security.me(), folder=False))

    def fault(
        self, path: Path, use: Use, *, administrator: bool = False, follow: bool = False, opened: int | None = None
    ) -> Fault | None:
        """What is wrong with who owns and may use a file or folder, None where nothing is."""
        del administrator, opened  # Administrators are trusted in any case, and an open file cannot change places.
        try:
            found = path.lstat()
            if not follow and _is_link(found):
                return Fault(Cause.LINK, path, "is a link", "name the place itself in the configuration")
            me, descriptor = self._security.me(), self._security.descriptor(path)
        except OSError as error:
            return Fault(Cause.UNREADABLE, path, f"cannot be read: {error.strerror}")
        folder = stat.S_ISDIR(found.st_mode)
        try:
            seen = access.access(descriptor, me, _RIGHTS[use])
        except access.NotUnderstood as error:
            return Fault(
                Cause.SHARED,
                path,
                f"has an access list that is not understood: {error}",
                self._remedy(path, me, folder),
            )
        if not seen.trusted_owner:
            owner = self._security.name(seen.owner)
            return Fault(
                Cause.FOREIGN,
                path,
                f"belongs to {owner}, and this is {self._security.name(me)}",
                f"run rotator as {owner}; or, if an administrator put it there for this account: "
                f'icacls "{path}" /setowner *{access.ADMINISTRATORS}{" /T" if folder else ""}',
            )
        if not seen.others:
            return None
        others = ", ".join(self._security.name(other) for other in seen.others)
        return Fault(
            Cause.SHARED,
            path,
            f"can be {_VERB[use]} by {others}",
            "if that is the account of the service, run rotator as it; else take it from them: "
            + self._remedy(path, me, folder),
        )

    def _remedy(self, path: Path, me: str, folder: bool) -> str:
        """Commands that leave this account, Administrators and SYSTEM, and nobody else."""
        rights = "(OI)(CI)F" if folder else "F"
        granted = (self._security.name(me), f"*{access.ADMINISTRATORS}", f"*{access.SYSTEM}")
        grants = " ".join(f'"{name}:{rights}"' for name in granted)
        return f'icacls "{path}" /reset && icacls "{path}" /inheritance:r /grant {grants}'


def _is_link(found: os.stat_result) -> bool:
    """A symbolic link, a junction or another mount point."""
    attributes = getattr(found, "st_file_attributes", 0)
    return stat.S_ISLNK(found.st_mode) or bool(attributes & stat.FILE_ATTRIBUTE_REPARSE_POINT)
