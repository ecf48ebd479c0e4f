"""Executables that an admin configured, run to their end: hooks, and the local sendmail."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from rotator.ownership import Cause, guard
from rotator.redaction import redacted, without_pieces


LIMIT: Final = 60.0
"""Seconds that one may take."""
_INHERITED: Final = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ"),
    *(
        # Without these PowerShell and cmd.exe do not start.
        *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "PROGRAMDATA", "USERPROFILE"),
        *("LOCALAPPDATA", "APPDATA"),
    )
    * (sys.platform == "win32"),
)
_EXCERPT: Final = 200
_LOOK: Final = 0.2
"""Seconds between looks at whether it has ended."""
_KEPT: Final = 4096
"""Bytes of its standard error that are kept, from its end."""
_CHUNK: Final = 65_536
_PATIENCE: Final = 1.0
"""Seconds for what it wrote at its end to be read, where the pipe is held open by what it left running."""


class Failed(Exception):
    """It did not do its work; the text goes on from its name, as `ended with status 1`."""


def run(
    command: Sequence[str | Path],
    told: Mapping[str, str],
    given: bytes = b"",
    *,
    secret: bool = True,
    limit: float = LIMIT,
) -> None:
    """Run `command` with `given` on its standard input and `told` as `ROTATOR_…` variables. Raises Failed.

    What runs is what `resolved` has looked at, under the name that it was called by, as some programs go by their name.
    It runs in the folder `/`. Of rotator's own environment it gets the paths, the language and the time zone. What it
    prints is not kept, but for the last line of its standard error; where `given` is `secret`, the last that quotes no
    piece of it. It runs in a session of its own, which ends with it when it takes too long; what it leaves running after
    its end goes on, and has that standard error for as long as rotator runs.
    """
    program = resolved(Path(command[0]))
    environment = {variable: os.environ[variable] for variable in _INHERITED if variable in os.environ}
    environment |= {f"ROTATOR_{variable}": value for variable, value in told.items()}
    try:
        said = _Tail()
    except (OSError, RuntimeError) as error:
        raise Failed(f"could not be started: {error}") from None
    try:
        process = subprocess.Popen(
            [str(program if sys.platform == "win32" else command[0]), *map(str, command[1:])],
            executable=None if sys.platform == "win32" else program,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=said.writing,
            cwd=program.anchor,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise Failed(f"could not be started: {error.strerror}") from None
    finally:
        os.close(said.writing)  # the program has its own copy
    with process:
        try:
            _wait(process, given, time.monotonic() + limit)
        except BaseException as error:
            _end(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise Failed(f"did not end within {limit:.0f} s and was stopped") from None
            raise
    if process.returncode != 0:
        raise Failed(f"ended with status {process.returncode}{_quoted(said.end(), given if secret else b'')}")


class _Tail:
    """A pipe that a program writes its standard error to, and a thread that reads it to its end and keeps the last of it.

    The thread alone reads and closes the pipe, as what the program leaves running may hold the other side for long.
    """

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        self._kept = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def end(self) -> bytes:
        """The last that was written."""
        self._thread.join(_PATIENCE)
        return self._kept

    def _read(self) -> None:
        with suppress(OSError):
            while chunk := os.read(self._reading, _CHUNK):
                self._kept = (self._kept + chunk)[-_KEPT:]
        os.close(self._reading)


def _wait(process: "subprocess.Popen[bytes]", given: bytes, deadline: float) -> None:
    """Give it what it is given and wait until it has ended, not for what it leaves running: that may hold its input open.

    Raises TimeoutExpired.
    """
    unsent: bytes | None = given
    while True:
        left = deadline - time.monotonic()
        try:
            process.communicate(unsent, timeout=max(min(left, _LOOK), 0))
        except subprocess.TimeoutExpired:
            if process.poll() is not None:
                return
            if left <= 0:
                raise
        else:
            return
        unsent = None


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Stop it and everything it started."""
    with suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.close()


def resolved(path: Path) -> Path:
    """Where a path leads to, without a link in it: that is what may be run, and not `path`, which is looked up anew.

    Raises Failed for what somebody else could put there: it would run with rotator's rights.
    """
    found = guard().way(path)
    if isinstance(found, Path):
        return found
    if found.cause is Cause.UNREADABLE:
        raise Failed(found.said if found.path == path else found.message)
    remedy = "give it to root, or to the account that runs rotator" if found.cause is Cause.FOREIGN else found.hint
    said = f"it {found.said}" if found.path == path else found.message
    raise Failed(f"is not run, since {said}" + (f": {remedy}" if remedy else ""))


def _quoted(stderr: bytes, secret: bytes) -> str:
    """The last line it wrote that quotes nothing of the secret, with everything taken out that looks like one."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    plain = ["".join(character if character.isprintable() else " " for character in line) for line in lines]
    told = without_pieces(plain, secret) if secret else plain
    if not lines:
        return ""
    return f": {redacted(told[-1])[:_EXCERPT] if told else '…'}"
