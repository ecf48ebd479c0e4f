"""Which notices follow from a run, and from certificates that end. What was told is not told again at once."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from rotator.errors import ExitStatus, NotDelivered, UsageError
from rotator.model import Certificate, Notice, NoticeEvent, Outcome, Result, Standing, Trouble, Warned, counted
from rotator.planning.due import DueReason


TELL_AGAIN: Final = timedelta(hours=24)
"""How long a failure that lasts, for the same reason, is not told again."""
THRESHOLDS: Final = (30, 14, 7, 1)
"""Days before its end at which a certificate is told of, once each."""
TELLING: Final = frozenset({"create-proxy", "rotate", "recover", "rollback", "verify", "notify"})
"""The commands whose failures are told; the success of any other that changes something ends a failure too."""
UNIT_FAILED: Final = "UnitFailed"
LOOKS_AGAIN: Final = "LooksAgain"
OF_LOOKS: Final = "Look"
"""How the reasons begin that the daemon's looks have, and only they."""
_OF_RUNS: Final = frozenset({"RunFailed", "RunTooLong", "NotStarted"})
LONGEST: Final = 4000
"""Characters of a message or hint: an undo that failed, with both causes, has under 1,000."""

_CHANGED: Final = frozenset(
    {
        Outcome.CREATED,
        Outcome.REPAIRED,
        Outcome.ADOPTED,
        Outcome.ROTATED,
        Outcome.ROLLED_BACK,
        Outcome.RECOVERED,
        Outcome.RELEASED,
    }
)
_WAITING: Final = frozenset({DueReason.RETRY_LATER.value, DueReason.OUTSIDE_WINDOW.value})
_BY_CHANGE: Final = frozenset({"Undone"})
"""Reasons that only a change ends: the old key worked all the time, so that its login proves nothing."""
_BY_LOGIN: Final = frozenset({"UndoFailed", "VerificationFailed", "PersonNeeded"})
"""Reasons that a change ends, or logins that were tested."""

_HANDED_OVER: Final = (_CHANGED - {Outcome.REPAIRED}) | {Outcome.DELIVERED}


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes notices: `host`, the `command` of this run, the clock, and a source of new ids."""

    host: str
    command: str
    now: datetime
    new_id: Callable[[], str]

    def about(self, event: NoticeEvent, result: Result, since: datetime | None = None) -> Notice:
        """A notice about what a run came to."""
        return Notice(
            id=self.new_id(),
            event=event,
            host=self.host,
            site=result.site,
            name=result.name,
            command=self.command,
            reason=result.reason,
            exit=int(result.exit_status),
            message=plain(result.message),
            hint=plain(result.hint or ""),
            fingerprint=result.key.fingerprint if result.key else "",
            at=self.now,
            since=since,
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """What follows from a run: a notice or none, and the troubles of its virtual proxy from now on."""

    notice: Notice | None
    troubles: tuple[Trouble, ...]


def plain(text: str) -> str:
    """A text that environment variables, mail and terminals take: one line, printable, not endless."""
    cleaned = "".join(character if character.isprintable() else " " for character in text)
    return cleaned if len(cleaned) <= LONGEST else cleaned[:LONGEST] + "…"


def judge(result: Result, troubles: Sequence[Trouble], writer: Writer, *, attended: bool) -> Judged:
    """Whether a run is told: a failure, once for each reason and again after a day; and the first success after one.

    `troubles` are those of its virtual proxy. `attended`: a person reads the error at a terminal, and so need not be
    told of a configuration that they are just writing.
    """
    same = Judged(None, tuple(troubles))
    if result.exit_status == ExitStatus.DONE:
        if not troubles or not all(_over(trouble, result) for trouble in troubles):
            return same
        since = min(trouble.since for trouble in troubles)
        return Judged(writer.about(NoticeEvent.RECOVERED, result, since), ())
    if not is_failure(result, writer.command, attended=attended):
        return same
    known = next((trouble for trouble in troubles if trouble.reason == result.reason), None)
    if known is not None and timedelta(0) <= writer.now - known.told < TELL_AGAIN:
        return same
    since = min([writer.now, *(trouble.since for trouble in troubles)])
    trouble = Trouble(result.site, result.name, result.reason, since, writer.now)
    others = tuple(other for other in troubles if other.reason != result.reason)
    return Judged(writer.about(NoticeEvent.FAILED, result, since), (*others, trouble))


def is_failure(result: Result, command: str, *, attended: bool) -> bool:
    """Whether people are told of this end of a run. A lock or window (3) and a wrong command line (2) are no failures."""
    if command not in TELLING or result.exit_status in (ExitStatus.DONE, ExitStatus.TRY_LATER, ExitStatus.USAGE):
        return False
    return not (attended and result.exit_status == ExitStatus.CONFIG)


def _over(trouble: Trouble, result: Result) -> bool:
    if result.reason == LOOKS_AGAIN:
        return trouble.reason.startswith(OF_LOOKS)
    if trouble.reason == NotDelivered.__name__:
        # Consumers wait whoever logs in, and whatever is repaired. `rotate`, which says what is due, hands over first.
        return result.outcome in _HANDED_OVER or result.reason in set(DueReason)
    if result.outcome in _CHANGED:
        return True
    if trouble.reason in _BY_CHANGE or result.reason in _WAITING:
        return False
    return bool(result.checks) if trouble.reason in _BY_LOGIN else True


def expiring(
    standings: Iterable[Standing], warned: Iterable[Warned], writer: Writer
) -> tuple[tuple[Notice, Warned], ...]:
    """The certificates that have come close to their end since people were last told, each with what is now told."""
    known = {(told.certificate, told.site, told.name): told for told in warned}
    due = []
    for standing in standings:
        certificate = Certificate.JWT if standing.name else Certificate.CLIENT
        ends = standing.certificate_ends
        days = None if ends is None else threshold(ends, writer.now)
        if ends is None or days is None:
            continue
        if standing.next_due is not None and days == THRESHOLDS[0]:
            continue  # at that age rotator replaces it by itself, in its next window
        told = known.get((certificate, standing.site, standing.name))
        if told is not None and told.ends == ends and told.days <= days:
            continue
        due.append(
            (_ends(standing, certificate, ends, writer), Warned(certificate, standing.site, standing.name, ends, days))
        )
    return tuple(due)


def threshold(ends: datetime, now: datetime) -> int | None:
    """The last threshold that was passed, in days; None while the end is further away than all of them."""
    return min((days for days in THRESHOLDS if ends - now <= timedelta(days=days)), default=None)


def _ends(standing: Standing, certificate: Certificate, ends: datetime, writer: Writer) -> Notice:
    left = (ends - writer.now).days
    when = f"{ends:%Y-%m-%d %H:%M} UTC"
    soon = f"in {counted(left, 'day')}" if left else "within a day"
    told = f"ended on {when}" if ends <= writer.now else f"ends {soon}, on {when}"
    if certificate is Certificate.CLIENT:
        message = f"site {standing.site}: the client certificate {told}: rotator cannot reach QRS after that"
        hint = "export a new one in the QMC under Certificates, put it in place of the old one, then run rotator status"
    else:
        message = f"{standing.name}: the JWT certificate of the current key {told}"
        hint = f"give it a new key: rotator rotate {standing.name} --now (this ends the sessions)"
    return Notice(
        id=writer.new_id(),
        event=NoticeEvent.EXPIRING,
        host=writer.host,
        site=standing.site,
        name=standing.name,
        command=writer.command,
        reason="ClientCertificateEnds" if certificate is Certificate.CLIENT else DueReason.CERTIFICATE_ENDS.value,
        exit=None,
        message=message,
        hint=hint,
        fingerprint="",
        at=writer.now,
        ends=ends,
    )


def test(writer: Writer) -> Notice:
    """A notice that says nothing but that notices arrive."""
    return Notice(
        id=writer.new_id(),
        event=NoticeEvent.TEST,
        host=writer.host,
        site="",
        name="",
        command=writer.command,
        reason="Test",
        exit=None,
        message=f"a test: notices of rotator on {writer.host} arrive here",
        hint="there is nothing to do",
        fingerprint="",
        at=writer.now,
    )


def seen(site: str, name: str, reason: str, message: str, hint: str | None) -> Result:
    """What the daemon saw of a run or a look, as the result of a run that could not speak for itself.

    Raises UsageError for a `reason` that is none of those.
    """
    if reason not in _OF_RUNS and not (reason.startswith(OF_LOOKS) and reason.isidentifier()):
        raise UsageError(
            f"--reason {plain(reason)} is none of the daemon's", hint="rotator daemon starts this by itself"
        )
    return Result(site, name, Outcome.FAILED, reason, message, hint, exit_status=ExitStatus.FAILED)


def looks_again(site: str, name: str) -> Result:
    """A look succeeded: that ends what looks have told of, and no trouble of a run, which asks the server too."""
    return Result(site, name, Outcome.UNCHANGED, LOOKS_AGAIN, f"{name}: the keyring says again whether it is due")


def unit_failed(unit: str, site: str, name: str, monitor: Mapping[str, str]) -> Result:
    """A systemd unit that failed, as the result of a run that could not speak for itself.

    `monitor` holds what systemd tells a unit of `OnFailure=`: MONITOR_SERVICE_RESULT, MONITOR_EXIT_CODE and
    MONITOR_EXIT_STATUS (systemd.exec(5), since 251); nothing of it need be there.
    """
    result, code, status = (
        monitor.get(f"MONITOR_{word}", "") for word in ("SERVICE_RESULT", "EXIT_CODE", "EXIT_STATUS")
    )
    if code == "exited" and status == "255":
        what = "its ExecCondition, `rotator due`, ended with an error (status 255)"
        hint = f"see why: rotator due {name}".rstrip()
    else:
        ended = {"exited": f"it ended with status {status}", "killed": f"it was killed by the signal {status}"}
        what = ended.get(code, f"it ended by {code} {status}" if code else "it ended without a word")
        hint = "the next run finishes or undoes what was under way; rotator status shows how things are"
    why = f" ({result})" if result and result != "exit-code" else ""
    subject = f"{name}: " if name else ""
    return Result(
        site=site,
        name=name,
        outcome=Outcome.FAILED,
        reason=UNIT_FAILED,
        message=f"{subject}the unit {unit} failed: {what}{why}",
        hint=f"{hint}; journalctl -u {unit} -e shows what it said",
        exit_status=ExitStatus.FAILED,
    )
