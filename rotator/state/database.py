"""The SQLite file of the state directory: its schema, how it is opened, and its errors as ours.

The journal, the outbox of notices and the figures for the metrics are tables of one file, so that they can never
disagree about which state directory they belong to. No secret is ever written to it. SQLite takes files beside it for
its own, and deletes what a journal of it names: `opened` and `reading` see first whose directory it is.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rotator.errors import JournalError, JournalUnwritable, RotatorError
from rotator.model import counted
from rotator.state import directory


FILE: Final = "journal.sqlite"
BUSY_LIMIT: Final = 10.0
"""Seconds to wait for another process that writes."""

MIGRATIONS: Final[tuple[str, ...]] = (
    """
    CREATE TABLE run (
        id INTEGER PRIMARY KEY, site TEXT NOT NULL, name TEXT NOT NULL, command TEXT NOT NULL,
        started_by TEXT NOT NULL, pid INTEGER NOT NULL, began TEXT NOT NULL, ended TEXT, exit INTEGER,
        outcome TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', message TEXT NOT NULL DEFAULT '',
        fingerprint TEXT, requests INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX run_of ON run (site, name, id);
    CREATE TABLE event (
        id INTEGER PRIMARY KEY, run INTEGER NOT NULL REFERENCES run (id), kind TEXT NOT NULL, name TEXT NOT NULL,
        detail TEXT NOT NULL, began TEXT NOT NULL, ended TEXT, requests INTEGER NOT NULL DEFAULT 0,
        outcome TEXT NOT NULL
    );
    CREATE INDEX event_of ON event (run);
    CREATE TABLE generation (ring TEXT PRIMARY KEY, number INTEGER NOT NULL);
    """,
    """
    ALTER TABLE run ADD COLUMN sessions INTEGER;
    CREATE TABLE notice (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, site TEXT NOT NULL, name TEXT NOT NULL,
        content TEXT NOT NULL, queued TEXT NOT NULL, next TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
        state TEXT NOT NULL
    );
    CREATE TABLE receipt (notice TEXT NOT NULL, channel TEXT NOT NULL, PRIMARY KEY (notice, channel));
    CREATE TABLE trouble (
        site TEXT NOT NULL, name TEXT NOT NULL, reason TEXT NOT NULL, since TEXT NOT NULL, told TEXT NOT NULL,
        PRIMARY KEY (site, name, reason)
    );
    CREATE TABLE warned (
        certificate TEXT NOT NULL, site TEXT NOT NULL, name TEXT NOT NULL, ends TEXT NOT NULL, days INTEGER NOT NULL,
        PRIMARY KEY (certificate, site, name)
    );
    CREATE TABLE spoken (
        invocation TEXT NOT NULL, name TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (invocation, name)
    );
    CREATE TABLE standing (
        site TEXT NOT NULL, name TEXT NOT NULL, certificate_ends TEXT, key_created TEXT, next_due TEXT,
        retries INTEGER NOT NULL, PRIMARY KEY (site, name)
    );
    """,
    """
    ALTER TABLE run ADD COLUMN seconds REAL;
    ALTER TABLE event ADD COLUMN seconds REAL
    """,
    """
    CREATE TABLE site (id TEXT PRIMARY KEY, name TEXT NOT NULL, address TEXT NOT NULL)
    """,
)
"""The schema, one entry per version: `PRAGMA user_version` counts those that a file has been through."""
OPEN: Final = "open"
"""The outcome of a run or event that has not ended: under way, or cut short by a crash."""
WAITING, DELIVERED, GIVEN_UP = "waiting", "delivered", "given up"
"""The states of a notice."""
WITH_OUTBOX: Final = 2
"""The version since which there are notices and figures: who only reads may meet an older file."""
WITH_SITES: Final = 4
"""The version since which the ids of sites are noted."""
DAMAGE: Final = (sqlite3.Error, ValueError, TypeError, LookupError, AttributeError)
"""What comes of a file whose bytes are wrong: SQLite notices some, others are a text that is no UTF-8, a time or a column
that there is not."""


def opened(path: Path) -> sqlite3.Connection:
    """The file, made where it is not there as its directory is, with the newest schema.

    Raises JournalError, and InstallationMismatch, ConfigError, StateUnavailable for its directory.
    """
    directory.prepare(path.parent)
    with mapped(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
        database = _connected(path)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            _migrate(database, path)
        except (*DAMAGE, RotatorError):
            database.close()
            raise
        return database


@contextmanager
def reading(state: Path, since: int = 1) -> Iterator[sqlite3.Connection | None]:
    """The file of a state directory as it is, None where there is none, or one of a schema before `since`. Nothing is made.

    Raises JournalError, for a newer schema too, and InstallationMismatch, ConfigError for the directory.
    """
    path = state / FILE
    if not directory.there(state) or not path.exists():
        yield None
        return
    with mapped(path), closing(_connected(path)) as database:
        yield database if version(database, path) >= since else None


def check(state: Path) -> str:
    """See that the file of a state directory is whole, and that runs can write and lock there; what there is, in words.

    Nothing is made, and nothing written. Raises what `reading` raises.
    """
    with reading(state) as database:
        if database is None:
            told = "nothing is recorded yet"
        else:
            found = database.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            runs = database.execute("SELECT count(*) FROM run").fetchone()[0]
            told = f"the journal is whole, {counted(runs, 'run')}"
    directory.check_writable(state)
    return f"{state}: {told}"


def _connected(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=BUSY_LIMIT, isolation_level=None
    )
    database.row_factory = sqlite3.Row
    try:
        version(database, path)
    except (*DAMAGE, RotatorError):
        database.close()
        raise
    return database


def version(database: sqlite3.Connection, path: Path) -> int:
    """The version of the schema. Raises JournalError for one that this rotator does not know."""
    found = int(database.execute("PRAGMA user_version").fetchone()[0])
    if found > len(MIGRATIONS):
        raise JournalError(
            f"the journal {path} was written by a newer rotator (schema {found}, this one knows {len(MIGRATIONS)})",
            hint="upgrade rotator on this machine",
        )
    return found


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    """Bring the schema to the newest version, in one transaction that looks again, as another process may migrate too."""
    if version(database, path) == len(MIGRATIONS):
        return
    with transaction(database):
        for number in range(version(database, path), len(MIGRATIONS)):
            for statement in MIGRATIONS[number].split(";"):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {number + 1}")


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All of it or nothing."""
    database.execute("BEGIN IMMEDIATE")
    with ExitStack() as undoing:
        undoing.callback(_roll_back, database)
        yield
        database.execute("COMMIT")
        undoing.pop_all()


def _roll_back(database: sqlite3.Connection) -> None:
    # On a full disk SQLite may have done so by itself, and complains of a second time.
    with suppress(sqlite3.Error):
        database.execute("ROLLBACK")


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """What SQLite and the file system refuse, as ours."""
    try:
        yield
    except OSError as error:
        raise _unusable(path, str(error.strerror)) from None
    except DAMAGE as error:
        if isinstance(error, sqlite3.OperationalError) and not _of_content(error):
            raise _unusable(path, str(error)) from None
        raise JournalError(
            f"the journal {path} is damaged: {error}",
            hint=f"it is history only: move it away (mv {path} {path}.damaged) and go on, unless the keyring has lost its "
            "item installation, which comes back first, from a backup; rotator recover checks the rest",
        ) from None


def _of_content(error: sqlite3.OperationalError) -> bool:
    """Whether it is about what is in the file, as a table that is missing, not about the disk or other processes."""
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)  # Python's own have none
    return code == sqlite3.SQLITE_ERROR


def _unusable(path: Path, why: str) -> JournalUnwritable:
    return JournalUnwritable(
        f"the journal {path} cannot be used: {why}",
        hint="see that the state directory has room and is writable, then try again",
    )


def told(moment: datetime) -> str:
    """A time as the file holds it: UTC, ISO 8601, always with microseconds, so that texts sort as times do."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def moment(text: str) -> datetime:
    """The time that a text of the file tells."""
    return datetime.fromisoformat(text)
