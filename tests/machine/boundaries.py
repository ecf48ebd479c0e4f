"""rotator with a count of its effects: a program of its own that can be killed before and after each of them.

It patches the lowest seams: each HTTP exchange, each call of the sealed-file keyring, each statement of the journal that
writes, each connection to it that is closed, each file that is created, synced, renamed or removed, each folder that is
made, each program that is run. Every crossing is a boundary with a label; at the one that is asked for, the process sends itself SIGKILL.

It is a fork server, for speed: everything is imported once, and each run is a child of its own that dies by the real
signal. A run is asked for by a line of JSON on standard input and told by one on standard output, see `Run`.
"""

import atexit
import builtins
import importlib
import io
import json
import os
import re
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final, Self

import urllib3.connection
from forked import LIBRARIES, end_with_parent

from machine import plants
from machine.plants import patch


SPEED: Final = 5
"""How many times faster the monotonic clock goes: the least `settle_timeout`, 10 s, is waited for in two."""


class Boundaries:
    """The crossings so far, written to a file as they come; `stop` is the (label, occurrence) to be killed at."""

    def __init__(self, record: Path, stop: tuple[str, int] | None) -> None:
        self._record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._stop = stop
        self._seen: Counter[str] = Counter()
        self._lock = threading.Lock()

    def cross(self, label: str) -> None:
        """One boundary; the last one where it is the one that was asked for."""
        with self._lock:
            self._seen[label] += 1
            number = self._seen[label]
            os.write(self._record, f"{number}\t{label}\n".encode())
            if self._stop == (label, number):
                os.kill(os.getpid(), signal.SIGKILL)
                signal.pause()

    @contextmanager
    def around(self, label: str) -> Iterator[None]:
        """An effect with its two boundaries; there is none after an effect that failed."""
        self.cross(f"before {label}")
        yield
        self.cross(f"after {label}")


def instrument(boundaries: Boundaries) -> None:
    """Patch every seam of this process."""
    _exchanges(boundaries)
    _keyring(boundaries)
    _journal(boundaries)
    _files(boundaries)
    _programs(boundaries)


def _exchanges(boundaries: Boundaries) -> None:
    from rotator.qlik.transport import Transport

    exchange, answer, asked = Transport._exchange, urllib3.connection.HTTPConnection.getresponse, threading.local()

    def exchanged(self: Transport, session: Any, method: str, path: str, *rest: Any) -> Any:
        asked.label = f"{method} {plain(path)} of {self.route.name}"
        with boundaries.around(asked.label):
            return exchange(self, session, method, path, *rest)

    def sent(self: Any, *rest: Any) -> Any:
        boundaries.cross(f"sent {asked.label}")
        return answer(self, *rest)

    patch(Transport, "_exchange", exchanged)
    patch(urllib3.connection.HTTPConnection, "getresponse", sent)


def _keyring(boundaries: Boundaries) -> None:
    from rotator.keystore.sealed_file import SealedFiles

    for verb in ("get", "set", "delete"):
        call = getattr(SealedFiles, verb)

        def counted(self: Any, name: str, *text: str, call: Callable[..., Any] = call, verb: str = verb) -> Any:
            with boundaries.around(f"keyring {verb} {_item(name)}"):
                return call(self, name, *text)

        patch(SealedFiles, verb, counted)


def _item(name: str) -> str:
    parts = name.split("/")
    return parts[2] if len(parts) > 2 else parts[-1]


def _journal(boundaries: Boundaries) -> None:
    connect = sqlite3.connect

    class Counted(sqlite3.Connection):
        def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
            words = " ".join(statement.split()[:3])
            if words.startswith("SELECT") or words in ("PRAGMA user_version", "PRAGMA synchronous ="):
                return super().execute(statement, *values)
            with boundaries.around(f"journal {words}"):
                return super().execute(statement, *values)

        def executescript(self, script: str) -> sqlite3.Cursor:
            with boundaries.around("journal migration"):
                return super().executescript(script)

        def close(self) -> None:
            """The last one to go moves what is in the -wal to the file, and deletes -wal and -shm."""
            with boundaries.around("journal close"):
                super().close()

    def connected(*arguments: Any, **named: Any) -> sqlite3.Connection:
        return connect(*arguments, **named, factory=Counted)

    patch(sqlite3, "connect", connected)


def _files(boundaries: Boundaries) -> None:
    def counted(module: Any, name: str, verb: str) -> None:
        call = getattr(module, name)

        def crossing(path: Any, *rest: Any, **named: Any) -> Any:
            target = Path(f"/proc/self/fd/{path}").readlink() if isinstance(path, int) else path
            if os.path.lexists(target) is (verb == "make folder"):
                return call(path, *rest, **named)  # which changes nothing
            with boundaries.around(f"{verb} {plain(target)}"):
                return call(path, *rest, **named)

        patch(module, name, crossing)

    for name, verb in (("fsync", "sync"), ("replace", "rename"), ("unlink", "remove"), ("mkdir", "make folder")):
        counted(os, name, verb)
    opened, opened_text = os.open, builtins.open

    def creating(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if not flags & os.O_CREAT or os.path.lexists(path):
            return opened(path, flags, *rest, **named)
        with boundaries.around(f"create {plain(path)}"):
            return opened(path, flags, *rest, **named)

    def writing(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        if isinstance(file, int) or not set(mode) & set("wxa"):
            return opened_text(file, mode, *rest, **named)
        with boundaries.around(f"create {plain(file)}"):
            return opened_text(file, mode, *rest, **named)

    patch(os, "open", creating)
    patch(io, "open", writing)


def _programs(boundaries: Boundaries) -> None:
    from rotator import executables

    call = executables.run

    def counted(command: Any, *rest: Any, **named: Any) -> None:
        with boundaries.around(f"run {Path(command[0]).name}"):
            call(command, *rest, **named)

    patch(executables, "run", counted)


def plain(path: Any) -> str:
    """A path without what differs from run to run: ids, the names of sealed items, ports, the folder above."""
    text = os.fspath(path)
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", text)
    text = re.sub(r"[a-z2-7]{52}\.sealed", "ITEM.sealed", text)
    text = re.sub(r"_\d{4,5}\.", "_PORT.", text)
    return re.sub(r"^.*/disk/", "", text)


def set_clock(ahead: float) -> None:
    """Let the process live `ahead` seconds later, and wait faster."""
    from rotator.cli.wiring import SystemClock

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(seconds=ahead)

    for module in [item for name, item in sys.modules.items() if name.startswith("rotator.")]:
        if getattr(module, "datetime", None) is datetime:
            patch(module, "datetime", Later)
    monotonic, sleep = time.monotonic, time.sleep
    patch(SystemClock, "monotonic", lambda self: monotonic() * SPEED)
    patch(SystemClock, "sleep", lambda self, seconds: sleep(seconds / SPEED))


def run(asked: dict[str, Any]) -> int:
    """One command line, in this process, to its exit status."""
    from rotator.cli.app import run as rotator

    set_clock(asked["ahead"])
    for plant in asked["plants"]:
        getattr(plants, plant)()
    stop = asked["stop"]
    boundaries = Boundaries(Path(asked["record"]), (stop[0], stop[1]) if stop else None)
    for number, target in ((0, os.devnull), (1, asked["out"]), (2, asked["err"])):
        descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    instrument(boundaries)
    status = rotator(asked["arguments"])
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return status


def sync_everything(folder: Path) -> None:
    """Sync every file and folder under `folder`, and itself: so a machine stands that was switched off in order."""
    for path in (*folder.rglob("*"), folder):
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def served(line: str) -> int:
    """One request, in a child of its own. Returns its wait status."""
    asked = json.loads(line)
    child = os.fork()
    if child == 0:
        end_with_parent()
        status = 70
        try:
            if "sync" in asked:
                sync_everything(Path(asked["sync"]))
                status = 0
            else:
                status = run(asked)
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


def main() -> None:
    """Serve until standard input ends."""
    os.umask(0o077)
    for library in LIBRARIES:
        importlib.import_module(library)
    for line in sys.stdin:
        ended = os.waitstatus_to_exitcode(served(line))
        sys.stdout.write(f"{ended}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
