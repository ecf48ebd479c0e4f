"""Whether something is due, from the ring, the configuration and the clock. Reasons are named constants."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from rotator.model import CERTIFICATE_MARGIN, Consumers, KeyVersion, ProxySpec, Retry, Ring, Stage, short
from rotator.planning.windows import enough_left, next_opening


FIRST_RETRY: Final = timedelta(minutes=15)
"""How long after a failed rotation it is tried again; twice as long after each further failure."""
LONGEST_RETRY: Final = timedelta(hours=24)
AHEAD: Final = timedelta(days=1)
"""How far in the future a key may have become current: further, and the clock was wrong then, or is now."""
EARLY: Final = timedelta(days=1)
"""By how much the end of a prepared key's certificate may come before the schedule."""


class DueReason(StrEnum):
    """Why something is due, or is not."""

    UNFINISHED = "Unfinished"
    UNDELIVERED = "Undelivered"
    AGE = "Age"
    CRON = "Cron"
    CERTIFICATE_ENDS = "CertificateEnds"
    AGE_UNKNOWN = "AgeUnknown"
    NO_KEY = "NoKey"
    MANUAL = "Manual"
    NO_WINDOW = "NoWindow"
    NOT_YET = "NotYet"
    OUTSIDE_WINDOW = "OutsideWindow"
    RETRY_LATER = "RetryLater"
    ROLLED_BACK = "RolledBack"
    NOTICE = "Notice"


@dataclass(frozen=True, slots=True)
class Due:
    """The answer: `at` is when it becomes due, or when the window opens that it waits for (UTC, None: not known)."""

    due: bool
    reason: DueReason
    message: str
    at: datetime | None = None


def due(spec: ProxySpec, ring: Ring, now: datetime) -> Due:
    """Whether `rotate` has something to do at `now` (UTC).

    What is left of an earlier run is due at once, outside windows too and whoever the consumers are: an open intent, a
    previous key that was not tested, and an undelivered one while they have a hook.
    """
    if ring.intent is not None:
        return Due(due=True, reason=DueReason.UNFINISHED, message="an unfinished change of the certificate", at=now)
    if ring.delivery is not None and spec.consumers is Consumers.HOOK:
        return Due(due=True, reason=DueReason.UNDELIVERED, message="a key that was not handed over yet", at=now)
    if ring.untested:
        told = "a test that the previous key is refused, which was cut short"
        return Due(due=True, reason=DueReason.UNFINISHED, message=told, at=now)
    current = ring.at(Stage.CURRENT)
    if current is None:
        return Due(due=False, reason=DueReason.NO_KEY, message="there is no key to rotate yet")
    if spec.consumers is Consumers.MANUAL:
        return Due(due=False, reason=DueReason.MANUAL, message='consumers = "manual": only --now rotates')
    if spec.rotation.windows == ():
        return Due(due=False, reason=DueReason.NO_WINDOW, message="no window is configured")
    reason, at = _when(spec, current, now)
    if at is None or at > now:
        when = f"{at:%Y-%m-%d %H:%M} UTC" if at else "not known"
        told = f"the key {short(current.fingerprint)} is due {when}"
        return Due(due=False, reason=DueReason.NOT_YET, message=told, at=at)
    until = _until(spec, current, ring.retry, now)
    if ring.retry is not None and until is not None and now < until:
        return _put_off(ring.retry, until)
    if not enough_left(spec.rotation, now):
        opening = next_opening(spec.rotation.windows, now)
        told = f"due, but outside its window; the next one opens {opening:%Y-%m-%d %H:%M} UTC" if opening else "due"
        return Due(due=False, reason=DueReason.OUTSIDE_WINDOW, message=told, at=opening)
    told = f"the key {short(current.fingerprint)} is due"
    if reason is DueReason.AGE_UNKNOWN:
        told += f": it became current on {current.since:%Y-%m-%d %H:%M} UTC, which is still to come"
    return Due(due=True, reason=reason, message=told, at=at)


def may_begin(spec: ProxySpec, ring: Ring, now: datetime) -> bool:
    """Whether an unattended run may begin a rotation at `now` (UTC): one that only ends what was begun may not."""
    found = due(spec, ring, now)
    return found.due and found.reason not in (DueReason.UNFINISHED, DueReason.UNDELIVERED)


def _put_off(retry: Retry, until: datetime) -> Due:
    when = f"{until:%Y-%m-%d %H:%M} UTC"
    if retry.attempts == 0:
        told = f"due, but the previous key was put back by hand; the next rotation is put off until {when}"
        return Due(due=False, reason=DueReason.ROLLED_BACK, message=told, at=until)
    times = "once" if retry.attempts == 1 else f"{retry.attempts} times"
    told = f"due, but it failed {times} in a row; it is tried again {when}"
    return Due(due=False, reason=DueReason.RETRY_LATER, message=told, at=until)


def next_retry(spec: ProxySpec, ring: Ring, now: datetime) -> Retry:
    """When a rotation that has just failed is tried again: a delay that doubles with each failure, and is capped.

    A person who went back to the previous key has put it off for longer: that stays.
    """
    attempts = (ring.retry.attempts if ring.retry else 0) + 1
    retry = Retry(attempts, now + min(FIRST_RETRY * 2 ** min(attempts - 1, 16), LONGEST_RETRY))
    current = ring.at(Stage.CURRENT)
    if current is None or ring.retry is None or ring.retry.attempts:
        return retry
    until = _until(spec, current, ring.retry, now)
    return ring.retry if until is not None and until > retry.at else retry


def tried_again(spec: ProxySpec, ring: Ring, retry: Retry, now: datetime) -> str:
    """When an unattended run takes up what has just failed: at once, not before `retry`, when it is due, or never."""
    verdict = due(spec, replace(ring, retry=None), now)
    if verdict.reason in (DueReason.UNFINISHED, DueReason.UNDELIVERED):
        return "it is tried again by the next unattended run"
    if verdict.reason is DueReason.NO_WINDOW:
        return "no unattended run tries it again, since no window is configured"
    first = max(verdict.at, retry.at) if verdict.reason is DueReason.NOT_YET and verdict.at else retry.at
    return f"it is tried again unattended not before {first:%Y-%m-%d %H:%M} UTC"


def after_rollback(spec: ProxySpec, current: KeyVersion, now: datetime) -> Retry:
    """The old key that was put back is due by its age: it is left in peace for one period, from now on.

    `current` is that key. Its certificate ends all the same: it is not left beyond the margin, but for a day where that
    has come already, as whoever puts a key back needs it now.
    """
    return Retry(0, min(_period(spec, now), max(_margin(current), now + LONGEST_RETRY)))


def ends_early(spec: ProxySpec, prepared: KeyVersion, now: datetime) -> bool:
    """Whether the certificate of a key that was prepared long ago makes it due before the schedule, where a new one does not."""
    fresh = now + timedelta(days=spec.rotation.certificate_days) - CERTIFICATE_MARGIN
    return _margin(prepared) + EARLY < min(_period(spec, now), fresh)


def _until(spec: ProxySpec, current: KeyVersion, retry: Retry | None, now: datetime) -> datetime | None:
    """Until when unattended runs are put off; None where they are not, or by a clock that has been set back since."""
    if retry is None or retry.at > (now + LONGEST_RETRY if retry.attempts else _period(spec, now)):
        return None
    if retry.attempts == 0 and retry.at > max(_margin(current), now + LONGEST_RETRY):
        return _margin(current)
    return retry.at


def _period(spec: ProxySpec, now: datetime) -> datetime:
    """When a key is due by the schedule that became current now."""
    if spec.rotation.cron is not None:
        return _occurrence(spec.rotation.cron, now) or now + LONGEST_RETRY
    return now + (spec.rotation.every or LONGEST_RETRY)


def _margin(current: KeyVersion) -> datetime:
    """When the certificate's end makes a key due."""
    return current.not_after - CERTIFICATE_MARGIN


def _when(spec: ProxySpec, current: KeyVersion, now: datetime) -> tuple[DueReason, datetime | None]:
    """When the key is due by the schedule or by the end of its certificate, whichever comes first.

    The schedule counts from when the key became current, by this machine's clock, which is the one it is compared with:
    the certificate is dated by the server's, and a key that was prepared was made long before. Where that moment is still
    to come, nobody knows how old the key is, or its certificate: it is due, and the next one is dated anew.
    """
    if current.since - now > AHEAD:
        return DueReason.AGE_UNKNOWN, now
    ends = _margin(current)
    if spec.rotation.cron is not None:
        reason, scheduled = DueReason.CRON, _occurrence(spec.rotation.cron, current.since)
    else:
        every = spec.rotation.every
        reason, scheduled = DueReason.AGE, current.since + every if every is not None else None
    if scheduled is None or ends < scheduled:
        return DueReason.CERTIFICATE_ENDS, ends
    return reason, scheduled


def _occurrence(expression: str, after: datetime) -> datetime | None:
    """The first time that a cron expression names after a moment; None where there is none before long."""
    from cronsim import CronSim  # noqa: PLC0415 - for those who use it

    return next(CronSim(expression, after.astimezone(UTC)), None)
