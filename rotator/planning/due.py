"""Whether something is due, from the ring, the configuration and the clock. Reasons are named constants."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from rotator.model import Consumers, KeyVersion, ProxySpec, Ring, Stage, short
from rotator.planning.windows import closes, next_opening


CERTIFICATE_MARGIN: Final = timedelta(days=30)
"""How long before its certificate ends a key is due: nobody knows whether Qlik enforces the end."""
WINDOW_MARGIN: Final = 2
"""How many settle timeouts must be left in a window at the start: one to go forward, one to come back."""


class DueReason(StrEnum):
    """Why something is due, or is not."""

    UNFINISHED = "Unfinished"
    UNDELIVERED = "Undelivered"
    AGE = "Age"
    CRON = "Cron"
    CERTIFICATE_ENDS = "CertificateEnds"
    NO_KEY = "NoKey"
    MANUAL = "Manual"
    NO_WINDOW = "NoWindow"
    NOT_YET = "NotYet"
    OUTSIDE_WINDOW = "OutsideWindow"


@dataclass(frozen=True, slots=True)
class Due:
    """The answer: `at` is when it becomes due, or when the window opens that it waits for (UTC, None: not known)."""

    due: bool
    reason: DueReason
    message: str
    at: datetime | None = None


def due(spec: ProxySpec, ring: Ring, now: datetime) -> Due:
    """Whether `rotate` has something to do at `now` (UTC).

    An open intent and an undelivered key are due at once, outside windows too and whoever the consumers are.
    """
    if ring.intent is not None:
        return Due(due=True, reason=DueReason.UNFINISHED, message="an unfinished change of the certificate", at=now)
    if ring.delivery is not None:
        return Due(due=True, reason=DueReason.UNDELIVERED, message="a key that was not handed over yet", at=now)
    current = ring.at(Stage.CURRENT)
    if current is None:
        return Due(due=False, reason=DueReason.NO_KEY, message="there is no key to rotate yet")
    if spec.consumers is Consumers.MANUAL:
        return Due(due=False, reason=DueReason.MANUAL, message='consumers = "manual": only --now rotates')
    if spec.rotation.windows == ():
        return Due(due=False, reason=DueReason.NO_WINDOW, message="no window is configured")
    reason, at = _when(spec, current)
    if at is None or at > now:
        when = f"{at:%Y-%m-%d %H:%M} UTC" if at else "not known"
        told = f"the key {short(current.fingerprint)} is due {when}"
        return Due(due=False, reason=DueReason.NOT_YET, message=told, at=at)
    end = closes(spec.rotation.windows, now)
    if end is None or end - now < WINDOW_MARGIN * spec.rotation.settle_timeout:
        opening = next_opening(spec.rotation.windows, now)
        told = f"due, but outside its window; the next one opens {opening:%Y-%m-%d %H:%M} UTC" if opening else "due"
        return Due(due=False, reason=DueReason.OUTSIDE_WINDOW, message=told, at=opening)
    return Due(due=True, reason=reason, message=f"the key {short(current.fingerprint)} is due", at=at)


def _when(spec: ProxySpec, current: KeyVersion) -> tuple[DueReason, datetime | None]:
    """When the key is due by the schedule or by the end of its certificate, whichever comes first."""
    ends = current.not_after - CERTIFICATE_MARGIN
    if spec.rotation.cron is not None:
        reason, scheduled = DueReason.CRON, _occurrence(spec.rotation.cron, current.created)
    else:
        every = spec.rotation.every
        reason, scheduled = DueReason.AGE, current.created + every if every is not None else None
    if scheduled is None or ends < scheduled:
        return DueReason.CERTIFICATE_ENDS, ends
    return reason, scheduled


def _occurrence(expression: str, created: datetime) -> datetime | None:
    """The first time that a cron expression names after the key was made; None where there is none before long."""
    from cronsim import CronSim  # noqa: PLC0415 - for those who use it

    return next(CronSim(expression, created.astimezone(UTC)), None)
