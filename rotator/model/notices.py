"""What people are told without having asked: notices, and what is remembered so that each is told once."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class NoticeEvent(StrEnum):
    """What a notice tells."""

    FAILED = "failed"
    RECOVERED = "recovered"
    EXPIRING = "expiring"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to be told, at least once, by every channel. `id` is the same when it is told again.

    `host` is the machine that rotator runs on; `site` and `name` are empty where it is about none. `reason` is one constant word; `exit` the status of the run,
    None where there was no run; `fingerprint` that of the key that is current; `at` when it was written; `since` when a
    failure began that lasts or is over; `ends` when the certificate ends. All times are UTC. Holds no secret.
    """

    id: str
    event: NoticeEvent
    host: str
    site: str
    name: str
    command: str
    reason: str
    exit: int | None
    message: str
    hint: str
    fingerprint: str
    at: datetime
    since: datetime | None = None
    ends: datetime | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failure that people were told of, for one reason, and that is not over.

    Of a virtual proxy, or (`site` and `name` empty) of rotator itself. `told` is when they were told last.
    """

    site: str
    name: str
    reason: str
    since: datetime
    told: datetime


class Certificate(StrEnum):
    """The certificates whose end is watched."""

    CLIENT = "client"
    JWT = "jwt"


@dataclass(frozen=True, slots=True)
class Warned:
    """That people were told, `days` before its end or later, that this certificate ends."""

    certificate: Certificate
    site: str
    name: str
    ends: datetime
    days: int


@dataclass(frozen=True, slots=True)
class Standing:
    """How a virtual proxy stood when it was last looked at; with an empty `name` the access to its site.

    `certificate_ends` is that of the JWT certificate, or of the client certificate of the site. `next_due` is when an
    unattended rotation will begin, windows considered; None: not known, or never by itself. `retries` is how many
    rotations failed in a row.
    """

    site: str
    name: str
    certificate_ends: datetime | None = None
    key_created: datetime | None = None
    next_due: datetime | None = None
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Tally:
    """What the journal's runs of one virtual proxy add up to.

    `rotations` counts the runs of `rotate` by outcome, exit status and reason; `sessions_cut` the sessions that changes
    were known to end.
    """

    site: str
    name: str
    last_run: datetime | None = None
    last_exit: int | None = None
    last_success: datetime | None = None
    sessions_cut: int = 0
    rotations: tuple[tuple[str, int | None, str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that the metrics are made of."""

    standings: tuple[Standing, ...] = ()
    tallies: tuple[Tally, ...] = ()
    undelivered: int = 0
    given_up: int = 0
