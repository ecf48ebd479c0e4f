"""A machine that runs rotator against a sandbox: its clock, its disk, its runs and their ends."""

import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sandbox_process import Ended, Sandbox
from waiting import eventually

from machine.oracle import Oracle
from machine.power import Disk


TESTS: Final = Path(__file__).parent.parent
HOUR: Final = 3600.0
DAY: Final = 24 * HOUR
LONG: Final = 200 * DAY
"""So far a clock may go ahead: the sandbox's client certificate is good for a year."""
KILLED: Final = -9
HOOK: Final = Path("/bin/true").resolve()
"""What new keys are handed to: a run may be killed before and after that."""
TRAPS: Final = ("ROTATOR_", "PYTHON_KEYRING", "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY", "SSLKEYLOG", "XDG_")
Stop = tuple[str, int]
"""A boundary: its label, and which crossing of it."""


@dataclass
class Run(Ended):
    """How a run ended, status -9 where it was killed, and the boundaries it crossed."""

    points: list[Stop] = field(default_factory=list)

    @property
    def outcome(self) -> str:
        """What it came to, of a run with --json; empty where it did not get so far."""
        try:
            return str(self.result["outcome"])
        except (ValueError, IndexError):
            return ""

    @property
    def told(self) -> str:
        """Status and errors in one line."""
        return f"{self.status} {self.err.strip() or self.out.strip()}"


class Machine:
    """rotator's configuration, disk and clock, with a fork server for its runs. Made by `running`."""

    def __init__(self, sandbox: Sandbox, server: "subprocess.Popen[str]", disk: Path, power: Disk | None) -> None:
        self.sandbox = sandbox
        self.disk = disk
        self.config = sandbox.config
        self.names: tuple[str, ...] = ()
        """The virtual proxy meant, where the configuration has others."""
        self.ahead = 0.0
        self.plants: tuple[str, ...] = ()
        self.broken: list[str] = []
        self._well = False
        self.oracle = Oracle(sandbox.folder, sandbox.ready, disk, lambda: self.ahead)
        self._server = server
        self._power = power

    def later(self, seconds: float) -> None:
        """Time passes, here and on the server."""
        self.ahead += seconds
        self.sandbox.control("POST", "/clock", self.ahead)

    def run(self, *arguments: str, stop: Stop | None = None) -> Run:
        """Run rotator to its end, or to the boundary `stop`, where it is killed."""
        return self.begin(*arguments, stop=stop)()

    def begin(self, *arguments: str, stop: Stop | None = None) -> Callable[[], Run]:
        """Let rotator run; the result waits for its end."""
        self._well = False
        folder = self.sandbox.folder
        out, err, record = (folder / f"run.{name}" for name in ("out", "err", "points"))
        record.unlink(missing_ok=True)
        asked: dict[str, object] = {
            "arguments": ["--config", str(self.config), *arguments],
            "stop": stop,
            "ahead": self.ahead,
            "plants": self.plants,
            "record": str(record),
            "out": str(out),
            "err": str(err),
        }
        ended = self._ask(asked)
        return lambda: self._ran(arguments, ended(), out, err, record)

    def _ran(self, arguments: Sequence[str], status: int, out: Path, err: Path, record: Path) -> Run:
        lines = [line.split("\t") for line in record.read_text().splitlines()]
        run = Run(status, out.read_text(), err.read_text(), [(label, int(number)) for number, label in lines])
        if "this is a bug" in run.err or "Traceback" in run.err or status in (70, -11, -6):
            self.broken.append(f"rotator {' '.join(arguments)}: {run.told}")
        return run

    def _ask(self, asked: dict[str, object]) -> Callable[[], int]:
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(asked) + "\n")
        self._server.stdin.flush()
        return self._answer

    def _answer(self) -> int:
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())

    def at_work(self) -> bool:
        """Whether the run that was begun has not ended yet."""
        assert self._server.stdout is not None
        return not select.select([self._server.stdout], [], [], 0)[0]

    def no_faults(self) -> None:
        """The server works again; what it held back is on its way all the same."""
        self.sandbox.control("DELETE", "/faults")

    def arrived(self) -> None:
        """Wait until the server has done everything that was sent to it, and no proxy restarts any more."""
        eventually("no request is held back", lambda: not self.sandbox.holds_back())
        self.sandbox.control("GET", "/idle")

    def lose_power(self) -> None:
        """What was not synced is gone. Nothing where this machine's disk keeps everything."""
        if self._power is not None:
            self._power.lose_power()
            self.sync()

    def sync(self) -> None:
        """The disk is written out, as by an orderly shutdown."""
        if self._power is not None:
            assert self._ask({"sync": str(self.disk)})() == 0

    def fresh(self) -> None:
        """No virtual proxy on the server, and rotator installed anew, today."""
        self._well = False
        self.no_faults()
        self.arrived()
        self.oracle.remove_virtual_proxy()
        self.later(-self.ahead)
        shutil.rmtree(self.disk)
        self.disk.mkdir()
        self.sync()

    def settled(self) -> None:
        """A virtual proxy that was created and rotated twice, so that every stage has a key; as it is, if it is well."""
        kept = self.ahead < LONG and (self.disk / "state" / "journal.sqlite").exists()
        if kept and (self._well or not self.broken_settled()) and self.oracle.keyring().stage("previous"):
            return
        self.fresh()
        self.create()
        for _ in range(3):
            ended = self.run("rotate", "--now", *self.names)
            assert ended.status == 0, ended.told
        assert self.broken_settled() == []

    def broken_settled(self) -> list[str]:
        """What is broken once everything has come to rest. Where nothing is, that holds until the next run."""
        broken = self.oracle.broken_settled()
        self._well = not broken
        return broken

    def create(self) -> None:
        """The virtual proxy with its first key, from nothing."""
        ended = self.run("create-proxy", "--yes")
        assert ended.status == 0, ended.told

    def rotates_within_two_runs(self, again: Sequence[str] = ()) -> list[str]:
        """What an unattended machine does next, and a person after it; what is broken meanwhile and in the end.

        `again` is the command of the person who saw it fail, first.
        """
        broken = []
        if again:
            tries = [self.run(*again)]
            if tries[0].status != 0:
                tries.append(self.run(*again))
            broken += self.oracle.broken_now()
            if tries[-1].status != 0 and not self.oracle.keyring().index.get("intent"):
                broken.append(f"{' '.join(again)} fails twice: {[run.told for run in tries]}")
        tries = [self._unattended()]
        broken += self.oracle.broken_now()
        if tries[-1].outcome != "rotated":
            self.later(2 * HOUR)
            tries.append(self.run("rotate", "--now", "--json", *self.names))
        self.arrived()
        if tries[-1].status != 0 or tries[-1].outcome != "rotated":
            broken.append(f"no rotation within two runs: {[run.told for run in tries]}")
        broken += self.broken_settled()
        found, self.broken = [*self.broken, *broken], []
        return list(dict.fromkeys(found))

    def _unattended(self) -> Run:
        """The timer fires: `due`, and `rotate` where it says so."""
        self.later(2 * HOUR)
        due = self.run("due", *self.names)
        if due.status == 0:
            ended = self.run("rotate", "--json", *self.names)
            if ended.status not in (0, 1):
                self.broken.append(f"the unattended run ends with {ended.told}")
            return ended
        if due.status != 1:
            self.broken.append(f"due ends with {due.told}")
        return due


@contextmanager
def running(folder: Path, *, power: bool = False, kind: type[Machine] = Machine) -> Iterator[Machine]:
    """A machine and a sandbox with two proxies in `folder`; with `power` its disk loses what was not synced."""
    disk = folder / "disk"
    disk.mkdir()
    with Sandbox(folder, ("--nodes", "2")) as sandbox:
        sandbox.configure(
            (f'path = "{folder}/keys"', f'path = "{disk}/keys"'),
            (f'path = "{folder}/state"', f'path = "{disk}/state"'),
            ('consumers = "token"', f'consumers = "hook"\nhook = "{HOOK}"'),
            ('every = "30d"', 'every = "1h"\nkey_bits = 2048\nsettle_timeout = "10s"'),
        )
        cut = Disk(disk, folder / "shadow") if power else None
        environment = {name: value for name, value in os.environ.items() if not name.startswith(TRAPS)}
        paths = os.pathsep.join(filter(None, (str(TESTS), os.environ.get("PYTHONPATH"))))
        environment |= {"HOME": str(folder), "PYTHONPATH": paths, **(cut.environment if cut else {})}
        with subprocess.Popen(
            (sys.executable, "-m", "machine.boundaries"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=folder,
        ) as server:
            machine = kind(sandbox, server, disk, cut)
            machine.sync()
            yield machine
            assert server.stdin is not None
            server.stdin.close()
