"""What the metrics are made of: how each virtual proxy stood when it was last looked at, and what the journal counts.

Every run writes down what it saw of its own virtual proxy, so that any run can write the metrics of all, and a run that
dies early still writes what was known before.
"""

from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from sqlite3 import Connection
from typing import Final

from rotator.errors import ExitStatus
from rotator.model import Figures, Standing, Tally
from rotator.state import database


_ROTATE: Final = "rotate"


def note(state: Path, standings: Iterable[Standing]) -> None:
    """Remember how virtual proxies stand now. Raises JournalError."""
    path = state / database.FILE
    rows = [
        (
            standing.site,
            standing.name,
            _told(standing.certificate_ends),
            _told(standing.key_created),
            _told(standing.next_due),
            standing.retries,
        )
        for standing in standings
    ]
    with database.mapped(path), closing(database.opened(path)) as opened, database.transaction(opened):
        opened.executemany(
            "INSERT OR REPLACE INTO standing (site, name, certificate_ends, key_created, next_due, retries) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            rows,
        )


def standings(state: Path) -> tuple[Standing, ...]:
    """How things stood when they were last looked at; an empty name is a site's own access. Raises JournalError."""
    with database.reading(state, since=database.WITH_OUTBOX) as opened:
        return () if opened is None else _standings(opened)


def read(state: Path) -> Figures:
    """Everything, in one consistent look. Raises JournalError."""
    path = state / database.FILE
    with database.mapped(path), closing(database.opened(path)) as opened, database.transaction(opened):
        states = dict(opened.execute("SELECT state, count(*) FROM notice GROUP BY state").fetchall())
        return Figures(
            standings=_standings(opened),
            tallies=_tallies(opened),
            undelivered=states.get(database.WAITING, 0),
            given_up=states.get(database.GIVEN_UP, 0),
        )


def _standings(opened: Connection) -> tuple[Standing, ...]:
    rows = opened.execute("SELECT * FROM standing ORDER BY site, name").fetchall()
    return tuple(
        Standing(
            row["site"],
            row["name"],
            _moment(row["certificate_ends"]),
            _moment(row["key_created"]),
            _moment(row["next_due"]),
            row["retries"],
        )
        for row in rows
    )


def _tallies(opened: Connection) -> tuple[Tally, ...]:
    """The runs of every virtual proxy, added up. A run that was put off by a lock or a window says nothing new."""
    tallies = []
    pairs = opened.execute("SELECT DISTINCT site, name FROM run ORDER BY site, name").fetchall()
    for site, name in pairs:
        of = (site, name)
        last = opened.execute(
            "SELECT ended, exit FROM run WHERE site = ? AND name = ? AND exit IS NOT NULL AND exit != ? "
            "ORDER BY id DESC LIMIT 1",
            (*of, ExitStatus.TRY_LATER),
        ).fetchone()
        success = opened.execute(
            "SELECT max(ended) FROM run WHERE site = ? AND name = ? AND exit = ?", (*of, ExitStatus.DONE)
        ).fetchone()
        cut = opened.execute("SELECT coalesce(sum(sessions), 0) FROM run WHERE site = ? AND name = ?", of).fetchone()
        rotations = opened.execute(
            "SELECT outcome, exit, reason, count(*) FROM run WHERE site = ? AND name = ? AND command = ? "
            "AND outcome != ? GROUP BY outcome, exit, reason",
            (*of, _ROTATE, database.OPEN),
        ).fetchall()
        tallies.append(
            Tally(
                site=site,
                name=name,
                last_run=_moment(last["ended"]) if last else None,
                last_exit=last["exit"] if last else None,
                last_success=_moment(success[0]),
                sessions_cut=cut[0],
                rotations=tuple(tuple(row) for row in rotations),
            )
        )
    return tuple(tallies)


def _told(moment: datetime | None) -> str | None:
    return None if moment is None else database.told(moment)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else database.moment(text)
