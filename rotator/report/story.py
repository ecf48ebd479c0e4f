"""A run of the journal as lines for a person and as a row for scripts."""

from rotator.model import Event, Json, Run, counted, short, utc


def lines(run: Run, *, effects: bool, dead: bool = False) -> list[str]:
    """The run in one line, why it ended as it did, and its steps; with `effects` every change made in them too.

    `dead`: it has no end in the journal, and will have none.
    """
    key = f" {short(run.fingerprint)}" if run.fingerprint else ""
    cut = "" if run.sessions is None or run.ended is None else f", {counted(run.sessions, 'session')} cut"
    head = (
        f"{run.began:%Y-%m-%d %H:%M:%S} UTC  {run.name}  {run.command} by {run.started_by}: "
        f"{'cut short' if dead else run.outcome}{key}  ({_took(run.seconds)}, {counted(_requests(run), 'request')}{cut})"
    )
    told = [f"  {run.reason}: {run.message}" if run.message else f"  {run.reason}"] if run.reason else []
    return [head, *told, *(_line(event) for event in run.events if effects or event.kind == "step")]


def _requests(run: Run) -> int:
    """Of a run without an end its steps alone tell how many requests it made."""
    return run.requests if run.ended else sum(event.requests for event in run.events if event.kind == "step")


def _line(event: Event) -> str:
    detail = short(event.detail) if event.kind == "step" and event.detail else event.detail
    said = event.name if event.kind == "step" else f"  {event.name}"
    return f"    {said:<22}{detail:<42} {_took(event.seconds):>8}  {counted(event.requests, 'request'):>12}  {event.outcome}"


def _took(seconds: float | None) -> str:
    return "no end" if seconds is None else f"{seconds:.2f} s"


def row(run: Run) -> dict[str, Json]:
    """The run as JSON: times in UTC, durations in seconds, whole fingerprints."""
    return {
        "began": utc(run.began),
        "ended": utc(run.ended),
        "seconds": _rounded(run.seconds),
        "command": run.command,
        "started_by": run.started_by,
        "pid": run.pid,
        "exit": run.exit,
        "outcome": run.outcome,
        "reason": run.reason,
        "message": run.message,
        "fingerprint": run.fingerprint,
        "requests": _requests(run),
        "sessions_cut": run.sessions if run.ended else None,
        "steps": [
            {
                "kind": event.kind,
                "step": event.name,
                "detail": event.detail,
                "began": utc(event.began),
                "seconds": _rounded(event.seconds),
                "requests": event.requests,
                "outcome": event.outcome,
            }
            for event in run.events
        ],
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
