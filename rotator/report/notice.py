"""A notice as variables, as JSON and as a mail, pure."""

from rotator.errors import ExitStatus
from rotator.model import Json, Notice, NoticeEvent, utc


SCHEMA = 1


def variables(notice: Notice) -> dict[str, str]:
    """What hooks get, without the `ROTATOR_` before each name. All are always there; what does not apply is empty."""
    return {
        "EVENT": notice.event.value,
        "NOTICE_ID": notice.id,
        "HOST": notice.host,
        "SITE": notice.site,
        "NAME": notice.name,
        "COMMAND": notice.command,
        "REASON": notice.reason,
        "EXIT": "" if notice.exit is None else str(notice.exit),
        "MESSAGE": notice.message,
        "HINT": notice.hint,
        "FINGERPRINT": notice.fingerprint,
        "AT": utc(notice.at),
        "SINCE": utc(notice.since) or "",
        "NOT_AFTER": utc(notice.ends) or "",
    }


def document(notice: Notice) -> dict[str, Json]:
    """What a webhook gets. `text` is all of it in words, as many chat services show it."""
    return {
        "schema": SCHEMA,
        "id": notice.id,
        "event": notice.event.value,
        "host": notice.host,
        "site": notice.site or None,
        "name": notice.name or None,
        "command": notice.command,
        "reason": notice.reason,
        "exit": notice.exit,
        "message": notice.message,
        "hint": notice.hint or None,
        "fingerprint": notice.fingerprint or None,
        "at": utc(notice.at),
        "since": utc(notice.since),
        "not_after": utc(notice.ends),
        "text": f"{subject(notice)}\n{notice.message}" + (f"\nWhat to do: {notice.hint}" if notice.hint else ""),
    }


def subject(notice: Notice) -> str:
    """The notice in one short line."""
    of = notice.name or (f"site {notice.site}" if notice.site else "")
    about = f" {of}" if of else ""
    match notice.event:
        case NoticeEvent.FAILED if notice.exit == ExitStatus.PERSON_NEEDED:
            return f"rotator on {notice.host}: A PERSON IS NEEDED:{about} {notice.reason}"
        case NoticeEvent.FAILED:
            return f"rotator on {notice.host}: FAILED:{about} {notice.reason}"
        case NoticeEvent.RECOVERED:
            return f"rotator on {notice.host}: recovered:{about or ' rotator'}"
        case NoticeEvent.EXPIRING:
            day = f" on {notice.ends:%Y-%m-%d}" if notice.ends else ""
            return f"rotator on {notice.host}: a certificate ends{day}:{about}"
        case NoticeEvent.TEST:
            return f"rotator on {notice.host}: test"


def body(notice: Notice) -> str:
    """The notice as the text of a mail: what happened, what to do, and the facts beneath."""
    facts = {
        "site": notice.site,
        "name": notice.name,
        "command": notice.command,
        "reason": notice.reason,
        "exit status": "" if notice.exit is None else str(notice.exit),
        "current key": notice.fingerprint,
        "at": utc(notice.at),
        "since": utc(notice.since),
        "ends": utc(notice.ends),
        "notice": notice.id,
    }
    rows = "\n".join(f"{name:<12} {value}" for name, value in facts.items() if value)
    advice = f"\nWhat to do: {notice.hint}\n" if notice.hint else ""
    return f"{notice.message}\n{advice}\n{rows}\n"
