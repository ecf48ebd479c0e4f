"""Executables that an admin configured, run to their end: hooks, and the local sendmail."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from rotator.ownership import Cause, guard


LIMIT: Final = 60.0
"""Seconds that one may take."""
_INHERITED: Final = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ"),
    # Without these PowerShell and cmd.exe do not start.
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "PROGRAMDATA", "USERPROFILE"),
    *("LOCALAPPDATA", "APPDATA"),
)
_LONG_RUN: Final = re.compile(r"[A-Za-z0-9+/=_-]{40,}")
_EXCERPT: Final = 200
_LOOK: Final = 0.2
"""Seconds between looks at whether it has ended."""


class Failed(Exception):
    """It did not do its work; the text goes on from its name, as `ended with status 1`."""


def run(command: Sequence[str | Path], told: Mapping[str, str], given: bytes = b"", *, limit: float = LIMIT) -> None:
    """Run `command` with `given` on its standard input and `told` as `ROTATOR_…` variables. Raises Failed.

    What runs is what `check` has looked at, under the name that it was called by, as some programs go by their name.
    It runs in the folder `/`. Of rotator's own environment it gets the paths, the language and the time zone. What it prints is not kept, but for
    the last line of its standard error. It runs in a session of its own, which ends with it when it takes too long; what
    it leaves running after its end goes on, without that standard error.
    """
    program = check(Path(command[0]))
    environment = {variable: os.environ[variable] for variable in _INHERITED if variable in os.environ}
    environment |= {f"ROTATOR_{variable}": value for variable, value in told.items()}
    try:
        process = subprocess.Popen(
            [str(program if sys.platform == "win32" else command[0]), *map(str, command[1:])],
            executable=None if sys.platform == "win32" else program,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=program.anchor,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise Failed(f"could not be started: {error.strerror}") from None
    with process:
        try:
            stderr = _ended(process, given, time.monotonic() + limit)
        except BaseException as error:
            _end(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise Failed(f"did not end within {limit:.0f} s and was stopped") from None
            raise
    if process.returncode != 0:
        raise Failed(f"ended with status {process.returncode}{_said(stderr)}")


def _ended(process: "subprocess.Popen[bytes]", given: bytes, deadline: float) -> bytes:
    """Wait until the process has ended, not for what it leaves running: that may hold its standard error open.

    Returns what it wrote there. Raises TimeoutExpired.
    """
    unsent: bytes | None = given
    while True:
        left = deadline - time.monotonic()
        try:
            return process.communicate(unsent, timeout=max(min(left, _LOOK), 0))[1]
        except subprocess.TimeoutExpired as waiting:
            if process.poll() is not None:
                return waiting.stderr or b""
            if left <= 0:
                raise
        unsent = None


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Stop it and everything it started."""
    with suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    for pipe in (process.stdin, process.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()


def check(path: Path) -> Path:
    """Where it leads to. Raises Failed for what somebody else could put there: it would run with rotator's rights."""
    found = guard().way(path)
    if isinstance(found, Path):
        return found
    if found.cause is Cause.UNREADABLE:
        raise Failed(found.said if found.path == path else found.message)
    remedy = "give it to root, or to the account that runs rotator" if found.cause is Cause.FOREIGN else found.hint
    said = f"it {found.said}" if found.path == path else found.message
    raise Failed(f"is not run, since {said}" + (f": {remedy}" if remedy else ""))


def _said(stderr: bytes) -> str:
    """The last line it wrote, with everything taken out that could be a piece of a key it was given."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    if not lines:
        return ""
    printable = "".join(character if character.isprintable() else " " for character in lines[-1])
    return f": {_LONG_RUN.sub('…', printable)[:_EXCERPT]}"
