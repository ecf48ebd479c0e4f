"""The journal: what every run did to a virtual proxy, step by step, in an SQLite file of the state directory.

It tells people what happened, and notices a keyring that is an older copy of itself. What a crash left is decided from
the keyring and the server, so that a lost journal loses history and nothing else. No secret is ever written to it.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from rotator.errors import RotatorError
from rotator.model import Event, Result, Run
from rotator.state import database


INTERRUPTED: Final = "interrupted"
DONE: Final = "done"


class Journal:
    """The journal of a state directory, open for writing. Raises JournalError where it cannot be used.

    `now` is for what is written down, `monotonic` (seconds) for how long it took, whatever is done to the clock meanwhile.
    `requests` counts the requests made so far. Once a run has begun nothing here raises any more: a disk that fills up
    must not stop an undo. `tell` is given one line then.
    """

    def __init__(
        self,
        state: Path,
        now: Callable[[], datetime],
        requests: Callable[[], int],
        tell: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = state / database.FILE
        self._now = now
        self._monotonic = monotonic
        self._requests = requests
        self._tell = tell
        self._run: int | None = None
        self._broken = False
        self._database = database.opened(self.path)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def run(self, site: str, name: str, command: str, started_by: str) -> Iterator["Ending"]:
        """One run of `command` on a virtual proxy, whose lock is held. Runs of it that never ended were interrupted.

        The ending is told what the verb came to; without that, and after any other exception, it was interrupted.
        """
        with database.mapped(self.path), database.transaction(self._database):
            began = database.told(self._now())
            for table, key in (("event", "run"), ("run", "id")):
                self._database.execute(
                    f"UPDATE {table} SET outcome = ? WHERE outcome = ? AND {key} IN "  # noqa: S608 - two constants
                    "(SELECT id FROM run WHERE site = ? AND name = ? AND outcome = ?)",
                    (INTERRUPTED, database.OPEN, site, name, database.OPEN),
                )
            self._run = self._database.execute(
                "INSERT INTO run (site, name, command, started_by, pid, began, outcome) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (site, name, command, started_by, os.getpid(), began, database.OPEN),
            ).lastrowid
        before, started, ending = self._requests(), self._monotonic(), Ending()
        try:
            yield ending
        except RotatorError as error:
            ending.exit, ending.outcome = int(error.exit_status), "failed"
            ending.reason, ending.message = error.reason, error.message
            ending.fingerprint = error.key.fingerprint if error.key else None
            raise
        finally:
            self._write(
                "UPDATE run SET ended = ?, seconds = ?, exit = ?, outcome = ?, reason = ?, message = ?, fingerprint = ?, "
                "requests = ? WHERE id = ?",
                (
                    database.told(self._now()),
                    self._monotonic() - started,
                    ending.exit,
                    ending.outcome,
                    ending.reason,
                    ending.message,
                    ending.fingerprint,
                    self._requests() - before,
                    self._run,
                ),
            )
            self._run = None

    @contextmanager
    def step(self, name: str, fingerprint: str | None = None) -> Iterator[None]:
        """A step of the run: written before it begins and after its end."""
        with self._event("step", name, fingerprint or ""):
            yield

    @contextmanager
    def effect(self, name: str, detail: str = "") -> Iterator[None]:
        """One change of the keyring or the server: the intent before it, the outcome after it."""
        with self._event("effect", name, detail):
            yield

    @contextmanager
    def _event(self, kind: str, name: str, detail: str) -> Iterator[None]:
        if self._run is None:
            yield
            return
        before, started, outcome = self._requests(), self._monotonic(), INTERRUPTED
        row = self._write(
            "INSERT INTO event (run, kind, name, detail, began, outcome) VALUES (?, ?, ?, ?, ?, ?)",
            (self._run, kind, name, detail, database.told(self._now()), database.OPEN),
        )
        try:
            yield
            outcome = DONE
        except RotatorError as error:
            outcome = error.reason
            raise
        finally:
            self._write(
                "UPDATE event SET ended = ?, seconds = ?, requests = ?, outcome = ? WHERE id = ?",
                (
                    database.told(self._now()),
                    self._monotonic() - started,
                    self._requests() - before,
                    outcome,
                    row,
                ),
            )

    def cut(self, sessions: int) -> None:
        """Note that the run ends so many sessions."""
        self._write("UPDATE run SET sessions = coalesce(sessions, 0) + ? WHERE id = ?", (sessions, self._run))

    def generation(self, ring: str, sites: Collection[str]) -> int:
        """The generation of a ring, see `generation`; 0 where none can be read any more."""
        try:
            return _generation(self._database, ring, sites)
        except database.DAMAGE as error:
            self._lost(error)
            return 0

    def note_site(self, site_id: str, name: str, address: str) -> None:
        """Remember which site an id of the keyring is of, where that is news since the last one."""
        noted = (site_id, name, address)
        last = "SELECT id, name, address FROM site WHERE id = ? OR name = ? ORDER BY rowid DESC LIMIT 1"
        try:
            known = self._database.execute(last, (site_id, name)).fetchone()
        except database.DAMAGE as error:
            self._lost(error)
            return
        if known is None or tuple(known) != noted:
            self._write("INSERT OR REPLACE INTO site (id, name, address) VALUES (?, ?, ?)", noted)

    def note_generation(self, ring: str, number: int) -> None:
        """Remember the generation of a ring."""
        self._write("INSERT OR REPLACE INTO generation (ring, number) VALUES (?, ?)", (ring, number))

    def _write(self, statement: str, values: Sequence[object]) -> int | None:
        try:
            return self._database.execute(statement, values).lastrowid
        except database.DAMAGE as error:
            self._lost(error)
            return None

    def _lost(self, error: Exception) -> None:
        """Say once that the journal failed in the middle."""
        if not self._broken:
            self._broken = True
            self._tell(f"the journal {self.path} cannot be used any more ({error}): history will have a gap")


@dataclass
class Ending:
    """What a run came to; filled in by whoever runs it."""

    exit: int | None = None
    outcome: str = INTERRUPTED
    reason: str = ""
    message: str = ""
    fingerprint: str | None = None

    def took(self, result: Result) -> Result:
        """Note a result, and give it back."""
        self.exit, self.outcome = result.exit_status, result.outcome.value
        self.reason, self.message = result.reason, result.message
        self.fingerprint = result.key.fingerprint if result.key else None
        return result


def generation(state: Path, ring: str, sites: Collection[str]) -> int:
    """The generation of a ring (`SITE-ID/PREFIX`) that was last written, 0 where none was. Raises JournalError.

    `sites` are the ids that the keyring knows. One that has lost everything may have new ids: then it is that of the ring
    of this prefix under an id that is known no more, and of which it was not noted which site it is of.
    """
    with database.reading(state) as opened:
        return 0 if opened is None else _generation(opened, ring, sites)


def _generation(opened: sqlite3.Connection, ring: str, sites: Collection[str]) -> int:
    known = dict(opened.execute("SELECT ring, number FROM generation").fetchall())
    if ring in known:
        return int(known[ring])
    prefix = ring.partition("/")[2]
    if database.version(opened, Path(database.FILE)) >= database.WITH_SITES:
        sites = {*sites, *(noted for (noted,) in opened.execute("SELECT id FROM site").fetchall())}
    others = [(*name.partition("/")[::2], int(number)) for name, number in known.items()]
    return max((number for site, of, number in others if of == prefix and site not in sites), default=0)


def site_id(state: Path, name: str, address: str) -> str | None:
    """The id that the keyring last had for the site of this name, else for the one at this address. Raises JournalError."""
    with database.reading(state, database.WITH_SITES) as opened:
        rows = (
            []
            if opened is None
            else opened.execute("SELECT id, name, address FROM site ORDER BY rowid DESC").fetchall()
        )
    found = next((row for row in rows if row["name"] == name), None)
    found = found or next((row for row in rows if row["address"] == address), None)
    return str(found["id"]) if found else None


def read(state: Path, names: Sequence[tuple[str, str]], limit: int) -> tuple[Run, ...]:
    """The last `limit` runs of the virtual proxies (site, name), the newest first. Raises JournalError.

    Nothing is written, and there is no journal before the first run.
    """
    with database.reading(state) as opened:
        if opened is None:
            return ()
        wanted = " OR ".join("(site = ? AND name = ?)" for _ in names) or "0"
        rows = opened.execute(
            f"SELECT * FROM run WHERE {wanted} ORDER BY id DESC LIMIT ?",  # noqa: S608 - placeholders alone
            (*(text for pair in names for text in pair), limit),
        ).fetchall()
        return tuple(_run(opened, row) for row in rows)


def _run(opened: sqlite3.Connection, row: sqlite3.Row) -> Run:
    events = opened.execute("SELECT * FROM event WHERE run = ? ORDER BY id", (row["id"],)).fetchall()
    return Run(
        site=row["site"],
        name=row["name"],
        command=row["command"],
        started_by=row["started_by"],
        pid=row["pid"],
        began=database.moment(row["began"]),
        ended=database.moment(row["ended"]) if row["ended"] else None,
        seconds=_seconds(row),
        exit=row["exit"],
        outcome=row["outcome"],
        reason=row["reason"],
        message=row["message"],
        fingerprint=row["fingerprint"],
        requests=row["requests"],
        sessions=row["sessions"] if "sessions" in row.keys() else None,  # noqa: SIM118 - a row is no mapping
        events=tuple(
            Event(
                kind=event["kind"],
                name=event["name"],
                detail=event["detail"],
                began=database.moment(event["began"]),
                seconds=_seconds(event),
                requests=event["requests"],
                outcome=event["outcome"],
            )
            for event in events
        ),
    )


def _seconds(row: sqlite3.Row) -> float | None:
    """How long it took, None without an end. Of before it was measured, the times tell."""
    if row["ended"] is None:
        return None
    measured = row["seconds"] if "seconds" in row.keys() else None  # noqa: SIM118 - a row is no mapping
    if measured is not None:
        return float(measured)
    return max((database.moment(row["ended"]) - database.moment(row["began"])).total_seconds(), 0.0)
