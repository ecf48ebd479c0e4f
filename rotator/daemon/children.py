"""rotator's commands as child processes: the same that a timer or a person runs, with the configuration in force."""

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

from rotator.daemon import CHILD_VARIABLE
from rotator.daemon.service_manager import ServiceManager


KILLED: Final = -9
"""The status after SIGKILL, which Windows does not have: by a person, for want of memory, or by the daemon."""


class Handle(Protocol):
    """A process, as far as the daemon has to do with it."""

    @property
    def pid(self) -> int:
        """Its number."""

    def terminate(self) -> None:
        """Ask it to stop."""

    def kill(self) -> None:
        """End it."""


@dataclass(eq=False)
class Child:
    """A command that runs. `name` and `site` are those of the virtual proxy, empty for a look at all of them.

    `began` is on the monotonic clock; within `limit` it should end. `asked` and `killed` say what was done about it.
    """

    command: str
    name: str
    site: str
    began: float
    limit: timedelta
    handle: Handle = field(repr=False)
    asked: bool = False
    killed: bool = False

    def ask(self) -> None:
        """SIGTERM: it stops, or finishes or undoes what it has begun."""
        self.asked = True
        self.handle.terminate()

    def kill(self) -> None:
        """SIGKILL: the next run finishes or undoes what it has begun."""
        self.killed = True
        self.handle.kill()


class Processes:
    """Starts commands. `ended` is called in another thread with status, output and errors of each."""

    def __init__(self, source: Path, ended: Callable[["Process", int, bytes, bytes], None]) -> None:
        self._source = source
        self._ended = ended
        self._environ = _environment(os.environ)

    def start(self, *arguments: str, text: str, collect: bool) -> "Process":
        """Start `rotator ARGUMENTS` with `text` for what is in the configuration file. Raises OSError.

        `collect`: its output is given to `ended`; else it goes where the daemon's goes, and keeps its way there when
        the daemon is killed.
        """
        command = (sys.executable, "-P", "-m", "rotator", "--config", str(self._source), "--config-from-stdin")
        # A group of its own: Ctrl-C at the terminal of the daemon is the daemon's to pass on.
        started = subprocess.Popen(
            (*command, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if collect else None,
            stderr=subprocess.PIPE if collect else None,
            env=self._environ,
            process_group=0 if os.name == "posix" else None,
        )
        process = Process(started)
        try:
            threading.Thread(target=self._wait, args=(process, text), daemon=True, name="rotator-child").start()
        except RuntimeError:  # there was room for the process, and for nothing more
            process.kill()
            started.communicate()
            raise OSError(errno.EAGAIN, "there is no room for a thread") from None
        return process

    def _wait(self, process: "Process", text: str) -> None:
        out, err = process.popen.communicate(text.encode())
        self._ended(process, process.popen.returncode, out or b"", err or b"")


@dataclass(eq=False, frozen=True)
class Process:
    """Implements Handle."""

    popen: "subprocess.Popen[bytes]"

    @property
    def pid(self) -> int:
        """Its number."""
        return self.popen.pid

    def terminate(self) -> None:
        """Ask it to stop; on Windows, which has no such signal, it ends."""
        self.popen.terminate()

    def kill(self) -> None:
        """End it, and what it has started."""
        if sys.platform == "win32":
            self.popen.kill()
        elif self.popen.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.popen.pid, signal.SIGKILL)


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of children: without what systemd means for this process alone."""
    return {
        **{name: value for name, value in environ.items() if name not in ServiceManager.PRIVATE},
        CHILD_VARIABLE: "1",
    }
