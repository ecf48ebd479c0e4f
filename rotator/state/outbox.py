"""The outbox: notices that are to be delivered, at least once each, and what people were told before.

Tables of the journal's file. A notice is written here before it is sent anywhere, and leaves when every channel took it,
so that a crash or a channel that is down only delays it.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from sqlite3 import DatabaseError, Row
from typing import Final, Self

from rotator.model import Certificate, Notice, NoticeEvent, Trouble, Warned
from rotator.planning.notices import plain
from rotator.state import database


GIVE_UP: Final = timedelta(days=7)
"""How long a notice is tried."""
LARGEST: Final = 200
"""Notices that wait; beyond it the oldest are given up."""
FIRST_DELAY: Final = timedelta(minutes=5)
LONGEST_DELAY: Final = timedelta(hours=4)
KEPT: Final = timedelta(days=30)
"""How long delivered notices, and which units spoke, are remembered."""
JUST_NOW: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A notice in the outbox, and the channels that took it already."""

    notice: Notice
    taken: frozenset[str]
    attempts: int

    def worn_out(self, now: datetime) -> bool:
        """Whether it is tried no more."""
        return now - self.notice.at > GIVE_UP


class Outbox:
    """Open for writing; a context manager. Raises JournalError, from every method, where the file cannot be used."""

    def __init__(self, state: Path) -> None:
        self.path = state / database.FILE
        self._database = database.opened(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._database.close()

    def troubles(self, site: str, name: str) -> tuple[Trouble, ...]:
        """What people were told of a virtual proxy and is not over."""
        with database.mapped(self.path):
            rows = self._database.execute("SELECT * FROM trouble WHERE site = ? AND name = ?", (site, name)).fetchall()
            return tuple(
                Trouble(site, name, row["reason"], database.moment(row["since"]), database.moment(row["told"]))
                for row in rows
            )

    def put(
        self, site: str, name: str, notice: Notice | None, troubles: Iterable[Trouble], *, spoken: str | None = None
    ) -> None:
        """A notice, if there is one, and the troubles of a virtual proxy from now on, in one transaction.

        `spoken` is the systemd invocation in which this run spoke for itself.
        """
        with database.mapped(self.path), database.transaction(self._database):
            self._database.execute("DELETE FROM trouble WHERE site = ? AND name = ?", (site, name))
            self._database.executemany(
                "INSERT INTO trouble (site, name, reason, since, told) VALUES (?, ?, ?, ?, ?)",
                [
                    (site, name, trouble.reason, database.told(trouble.since), database.told(trouble.told))
                    for trouble in troubles
                ],
            )
            if spoken is not None:
                self._speak(spoken, name)
            if notice is not None:
                self._queue(notice)

    def speak(self, invocation: str, names: Iterable[str]) -> None:
        """In this systemd invocation runs of these virtual proxies told for themselves what there was to tell."""
        with database.mapped(self.path), database.transaction(self._database):
            for name in names:
                self._speak(invocation, name)

    def _speak(self, invocation: str, name: str) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO spoken (invocation, name, at) VALUES (?, ?, ?)",
            (invocation, name, database.told(datetime.now(UTC))),
        )

    def put_warning(self, notice: Notice, warned: Warned) -> None:
        """A notice that a certificate ends, and that it was told, in one transaction."""
        with database.mapped(self.path), database.transaction(self._database):
            self._database.execute(
                "INSERT OR REPLACE INTO warned (certificate, site, name, ends, days) VALUES (?, ?, ?, ?, ?)",
                (warned.certificate, warned.site, warned.name, database.told(warned.ends), warned.days),
            )
            self._queue(notice)

    def _queue(self, notice: Notice) -> None:
        at = database.told(notice.at)
        self._database.execute(
            "INSERT INTO notice (id, site, name, content, queued, next, state) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (notice.id, notice.site, notice.name, _content(notice), at, at, database.WAITING),
        )

    def spoke(self, invocation: str | None, name: str, now: datetime) -> bool:
        """Whether a run of this virtual proxy that failed told so itself: in this systemd invocation.

        Where that is not known (systemd before 251): whether the last run in the journal failed just now, and ended.
        """
        with database.mapped(self.path):
            if invocation:
                row = self._database.execute(
                    "SELECT 1 FROM spoken WHERE invocation = ? AND name IN (?, '')", (invocation, name)
                ).fetchone()
                return row is not None
            row = self._database.execute(
                "SELECT ended, exit FROM run WHERE name = ? ORDER BY id DESC LIMIT 1", (name,)
            ).fetchone()
            return bool(row and row["exit"]) and now - database.moment(row["ended"]) < JUST_NOW

    def waiting(self) -> tuple[Waiting, ...]:
        """The notices that wait, the oldest first."""
        with database.mapped(self.path):
            rows = self._database.execute(
                "SELECT * FROM notice WHERE state = ? ORDER BY number", (database.WAITING,)
            ).fetchall()
            return tuple(self._waiting(row) for row in rows)

    def _waiting(self, row: Row) -> Waiting:
        taken = self._database.execute("SELECT channel FROM receipt WHERE notice = ?", (row["id"],)).fetchall()
        return Waiting(_notice(row["content"]), frozenset(each["channel"] for each in taken), row["attempts"])

    def took(self, notice: Notice, channel: str) -> None:
        """A channel took the notice: it does not go there again."""
        with database.mapped(self.path):
            self._database.execute(
                "INSERT OR REPLACE INTO receipt (notice, channel) VALUES (?, ?)", (notice.id, channel)
            )

    def delivered(self, notice: Notice) -> None:
        """Every channel took it."""
        self._end(notice, database.DELIVERED)

    def give_up(self, notice: Notice) -> None:
        """It is not tried any more."""
        self._end(notice, database.GIVEN_UP)

    def _end(self, notice: Notice, state: str) -> None:
        with database.mapped(self.path):
            self._database.execute("UPDATE notice SET state = ? WHERE id = ?", (state, notice.id))

    def again(self, waiting: Waiting, now: datetime) -> None:
        """Not every channel took it: it becomes due again later, after a delay that doubles and is capped."""
        delay = min(FIRST_DELAY * 2 ** min(waiting.attempts, 16), LONGEST_DELAY)
        with database.mapped(self.path):
            self._database.execute(
                "UPDATE notice SET attempts = attempts + 1, next = ? WHERE id = ?",
                (database.told(now + delay), waiting.notice.id),
            )

    def tidy(self, now: datetime) -> None:
        """Forget what was delivered long ago."""
        before = database.told(now - KEPT)
        with database.mapped(self.path), database.transaction(self._database):
            self._database.execute(
                "DELETE FROM receipt WHERE notice IN (SELECT id FROM notice WHERE state = ? AND queued < ?)",
                (database.DELIVERED, before),
            )
            self._database.execute("DELETE FROM notice WHERE state = ? AND queued < ?", (database.DELIVERED, before))
            self._database.execute("DELETE FROM spoken WHERE at < ?", (before,))


def due(state: Path, name: str, known: Iterable[str], now: datetime) -> bool:
    """Whether a notice is to be delivered now by a run of this virtual proxy. Raises JournalError.

    Each is the matter of the virtual proxy it tells of; one of none, or of none that is `known`, is everybody's.
    Nothing is written.
    """
    with database.reading(state, since=database.WITH_OUTBOX) as opened:
        if opened is None:
            return False
        rows = opened.execute(
            "SELECT DISTINCT name FROM notice WHERE state = ? AND next <= ?", (database.WAITING, database.told(now))
        ).fetchall()
        others = set(known) - {name}
        return any(row["name"] not in others for row in rows)


def warned(state: Path) -> tuple[Warned, ...]:
    """Which certificates people were told of. Raises JournalError. Nothing is written."""
    with database.reading(state, since=database.WITH_OUTBOX) as opened:
        rows = [] if opened is None else opened.execute("SELECT * FROM warned").fetchall()
        return tuple(
            Warned(Certificate(row["certificate"]), row["site"], row["name"], database.moment(row["ends"]), row["days"])
            for row in rows
        )


_TIMES: Final = ("at", "since", "ends")


def _content(notice: Notice) -> str:
    fields = {field: getattr(notice, field) for field in Notice.__slots__}
    return json.dumps(fields | {field: fields[field] and database.told(fields[field]) for field in _TIMES})


def _notice(content: str) -> Notice:
    """A notice as it was queued. Its texts are made plain once more, as they go to environments, mails and terminals."""
    try:
        fields = json.loads(content)
        fields = {field: plain(value) if isinstance(value, str) else value for field, value in fields.items()}
        fields |= {field: fields[field] and database.moment(fields[field]) for field in _TIMES}
        return Notice(**{**fields, "event": NoticeEvent(fields["event"])})
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DatabaseError("it holds a notice that cannot be read") from None
