"""The state directory and the installation id in it."""

import errno
import os
import stat
from pathlib import Path
from typing import Final

from rotator.accounts import account
from rotator.durable import sync_folder, sync_place
from rotator.errors import ConfigError, InstallationMismatch, RotatorError, StateUnavailable
from rotator.invocation import as_account


_FILE: Final = "installation"
_DISK: Final = frozenset({errno.ENOSPC, errno.EROFS, errno.EFBIG, errno.EIO, getattr(errno, "EDQUOT", errno.ENOSPC)})
"""What a disk says that is full, read-only or broken; anything else is said of paths and permissions."""


def refused(what: str, error: OSError) -> RotatorError:
    """The error for what the file system would not do: the disk's fault, or else the configuration's."""
    if error.errno in _DISK:
        return StateUnavailable(
            f"{what}: {error.strerror}", hint="see that the state directory has room and is writable, then try again"
        )
    return ConfigError(
        f"{what}: {error.strerror}", hint="see who may write to the state directory, or set another: path in [state]"
    )


def prepare(path: Path) -> None:
    """Make the state directory for this account alone, or see that it is.

    Raises ConfigError, StateUnavailable, InstallationMismatch.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.stat()
    except OSError as error:
        raise refused(f"the state directory {path} cannot be made", error) from None
    if os.name == "posix" and found.st_uid != os.geteuid():
        owner = account(found.st_uid)
        raise InstallationMismatch(
            f"the state directory {path} belongs to {owner}, and this is {account(os.geteuid())}",
            hint=f"run it as that account: {as_account(owner)}",
        )
    if os.name == "posix" and stat.S_IMODE(found.st_mode) & 0o022:
        raise ConfigError(f"others can write to the state directory {path}", hint=f"chmod go-w {path}")


def installation(path: Path) -> str | None:
    """The installation id of a state directory, None where it has none yet."""
    try:
        return (path / _FILE).read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{path / _FILE} cannot be read", hint="see that it belongs to this account") from None


def write_installation(path: Path, identity: str) -> None:
    """Write the installation id, whole or not at all, and see that the new directory lasts.

    Raises ConfigError, StateUnavailable.
    """
    temporary = path / f"{_FILE}.new"
    try:
        with temporary.open("w", encoding="ascii") as file:
            file.write(identity + "\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path / _FILE)
        sync_folder(path)
        sync_place(path)
    except OSError as error:
        raise refused(f"{path / _FILE} cannot be written", error) from None


def agreed(in_state: str | None, in_keyring: str | None, state: Path) -> str | None:
    """The installation id that both have, or the only one there is: half is enough. Raises InstallationMismatch."""
    if in_state is None or in_keyring is None or in_state == in_keyring:
        return in_state or in_keyring
    who = account(os.geteuid()) if os.name == "posix" else os.environ.get("USERNAME", "this account")
    raise InstallationMismatch(
        f"the state directory {state} and the keyring of {who} belong to different installations",
        hint="run rotator as the account that its service uses (sudo -u ACCOUNT rotator …), or name the state directory "
        "that belongs to this keyring: path in [state]",
    )
