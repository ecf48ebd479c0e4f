"""Files and folders that belong to one account alone, checked before they are trusted."""

import os
import stat
from pathlib import Path

from rotator.accounts import account
from rotator.errors import InstallationMismatch, KeyStoreUnavailable
from rotator.invocation import as_account


def make_private(folder: Path) -> None:
    """Make the folder for its owner alone, where it is not there. Raises KeyStoreUnavailable."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise KeyStoreUnavailable(
            f"the folder {folder} cannot be made: {error.strerror}", hint="see that its parent belongs to this account"
        ) from None


def check_private(path: Path) -> None:
    """Raise InstallationMismatch for another account's folder or file, KeyStoreUnavailable for one that others can read.

    Root is no exception: what root writes here the service could not read. On Windows access lists decide, not modes.
    """
    if os.name != "posix":
        return
    try:
        found = path.lstat()
    except OSError as error:
        raise KeyStoreUnavailable(f"{path} cannot be read: {error.strerror}") from None
    if stat.S_ISLNK(found.st_mode):
        raise KeyStoreUnavailable(f"{path} is a symbolic link", hint="name the place itself in the configuration")
    if found.st_uid != os.geteuid():
        owner = account(found.st_uid)
        raise InstallationMismatch(
            f"{path} belongs to {owner}, and this is {account(os.geteuid())}",
            hint=f"run it as that account: {as_account(owner)}",
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise KeyStoreUnavailable(
            f"{path} can be read by others (mode {stat.S_IMODE(found.st_mode):04o})", hint=f"chmod go= {path}"
        )
