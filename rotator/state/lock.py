"""Mutual exclusion between command line, daemon and timer, kept by the operating system and so never left behind."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from rotator.accounts import current
from rotator.errors import LockHeld
from rotator.state.directory import LOCKS, prepare, refused


GRACE: Final = 0.5
"""Seconds that everybody waits: who only looked has let go by then, and who took the lock has said who they are."""
_POLL: Final = 0.02


@contextmanager
def held(state: Path, name: str, command: str, now: datetime, *, wait: float = 0.0) -> Iterator[None]:
    """Hold the lock `name` under the state directory. Raises LockHeld naming its owner, after `wait` seconds or GRACE.

    The state directory is made where there is none. Raises ConfigError, StateUnavailable where there can be no lock file,
    InstallationMismatch where the state directory is another account's.
    """
    from filelock import FileLock, Timeout  # noqa: PLC0415 - 55 ms, and some commands need no lock

    prepare(state)
    file = _file(state, name)
    owner = file.with_suffix(".owner")
    lock = FileLock(file, timeout=max(wait, GRACE), mode=0o600, poll_interval=_POLL)
    try:
        file.parent.mkdir(mode=0o700, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise LockHeld(
            f"{name} is being worked on by {_owner(owner)}", hint="wait for it to end, then try again"
        ) from None
    except OSError as error:
        raise refused(f"the lock {file} cannot be taken", error) from None
    try:
        _write(owner, command, now)
        yield
    finally:
        _clear(owner)
        lock.release()


def of_site(name: str, address: str) -> tuple[str, str]:
    """The locks of a site: its keys are found by the name of its table or by its address, whichever still fits."""
    return f"site {name}", f"server {address}"


def idle(state: Path, name: str) -> bool:
    """Whether it is certain that nobody holds the lock `name`. It is taken for an instant to see that, and nothing is made."""
    from filelock import FileLock, Timeout  # noqa: PLC0415 - see above

    file = _file(state, name)
    try:
        if not file.exists():
            return False
        with FileLock(file, timeout=0, mode=0o600):
            return True
    except (Timeout, OSError):
        return False


def _file(state: Path, name: str) -> Path:
    return state / LOCKS / (re.sub(r"[^A-Za-z0-9_.-]", "_", name) + ".lock")


def _write(owner: Path, command: str, now: datetime) -> None:
    """Who holds the lock, for the message of those who wait: on a full disk nobody is named.

    One that was killed has left its name: that goes first.
    """
    _clear(owner)
    told = {"user": current(), "pid": os.getpid(), "command": command, "since": f"{now:%Y-%m-%d %H:%M:%S} UTC"}
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    with suppress(OSError), os.fdopen(os.open(owner, flags, 0o600), "w", encoding="utf-8") as file:
        json.dump(told, file)


def _clear(owner: Path) -> None:
    """Whoever holds the lock is not who held it before; a link there is removed, not followed."""
    with suppress(OSError):
        owner.unlink()


def _owner(owner: Path) -> str:
    try:
        told = json.loads(owner.read_text(encoding="utf-8"))
        return f"rotator {told['command']} of {told['user']} (process {told['pid']}), since {told['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another rotator"
