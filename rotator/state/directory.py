"""The state directory and the installation id in it.

Whoever opens something in it comes by `prepare` or `there`, so that no account, root neither, follows what another one
has put into its own directory, or leaves files there that keep the service out.
"""

import errno
import os
from pathlib import Path
from typing import Final

from rotator.durable import replaced, sync_place
from rotator.errors import ConfigError, InstallationMismatch, RotatorError, StateUnavailable
from rotator.ownership import Cause, Fault, Use, guard, not_roots


LOCKS: Final = "locks"
"""The folder of the lock files."""
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
    """Make the state directory for this account alone, or see that it is. Root makes none below another account's folder.

    Raises ConfigError, StateUnavailable, InstallationMismatch.
    """
    _check_way(path)
    try:
        guard().make_folder(path)
    except OSError as error:
        raise refused(f"the state directory {path} cannot be made", error) from None
    _check(path)


def check_writable(path: Path) -> None:
    """See that runs can write and lock in a state directory, where there is one. Raises ConfigError."""
    for place in (path, path / LOCKS):
        if os.path.lexists(place) and not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
            raise ConfigError(
                f"{place} is no folder that this account can write to",
                hint="see whose it is, and that its file system is not read-only; or set another: path in [state]",
            )


def there(path: Path) -> bool:
    """Whether there is a state directory; one that is there belongs to this account alone. Nothing is made.

    Raises ConfigError, StateUnavailable, InstallationMismatch.
    """
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise refused(f"the state directory {path} cannot be looked at", error) from None
    _check(path)
    return True


def _check(path: Path) -> None:
    _check_way(path)
    fault = guard().fault(path, Use.GUARDED, follow=True)
    if fault is not None:
        raise _unsafe(f"the state directory {fault.message}", fault)


def _check_way(path: Path) -> None:
    """See that no other account can lead root elsewhere: by a folder of its own on the way, or a link in one."""
    fault = not_roots(path)
    if fault is not None:
        raise _unsafe(f"root does not use the state directory {path}, since {fault.message}", fault)


def _unsafe(said: str, fault: Fault) -> RotatorError:
    kind = InstallationMismatch if fault.cause is Cause.FOREIGN else ConfigError
    return kind(said, hint=fault.hint)


def installation(path: Path) -> str | None:
    """The installation id of a state directory, None where it has none yet. Raises ConfigError, InstallationMismatch."""
    if not there(path):
        return None
    try:
        return (path / _FILE).read_text(encoding="ascii").strip() or None
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        raise ConfigError(f"{path / _FILE} cannot be read", hint="see that it belongs to this account") from None


def write_installation(path: Path, identity: str) -> None:
    """Write the installation id, whole or not at all, and see that the new directory lasts.

    Raises ConfigError, StateUnavailable, InstallationMismatch.
    """
    prepare(path)
    temporary = path / f"{_FILE}.new"
    try:
        temporary.unlink(missing_ok=True)
        with os.fdopen(guard().make_file(temporary), "w", encoding="ascii") as file:
            file.write(identity + "\n")
            file.flush()
            os.fsync(file.fileno())
        replaced(temporary, path / _FILE)
        sync_place(path)
    except OSError as error:
        raise refused(f"{path / _FILE} cannot be written", error) from None


def agreed(in_state: str | None, in_keyring: str | None, state: Path) -> str | None:
    """The installation id that both have, or the only one there is: half is enough. Raises InstallationMismatch."""
    if in_state is None or in_keyring is None or in_state == in_keyring:
        return in_state or in_keyring
    raise InstallationMismatch(
        f"the state directory {state} and the keyring of {guard().account()} belong to different installations",
        hint="run rotator as the account that its service uses (sudo -u ACCOUNT rotator …), or name the state directory "
        "that belongs to this keyring: path in [state]",
    )
