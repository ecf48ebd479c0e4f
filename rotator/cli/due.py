"""rotator due."""

from datetime import UTC, datetime

import typer

from rotator.cli.options import AsJson, Names, SiteName
from rotator.cli.session import Session
from rotator.model import Outcome, ProxySpec, Result, Stage, utc
from rotator.report import text


NOTHING_DUE = 1
DUE_ERROR = 255
"""Of every error; 1 to 254 would tell systemd's ExecCondition= to skip."""


def due(context: typer.Context, names: Names = None, site: SiteName = None, as_json: AsJson = False) -> None:
    """Say by the exit status whether something is due: 0 yes, 1 no, 255 every error. For systemd's ExecCondition=.

    Asks the keyring, and the journal whether that is whole, so that it is quick and a server that is down does not
    matter; `rotator rotate` then asks the server too.
    """
    from rotator.cli.keyring import Keyring
    from rotator.planning.due import Due, DueReason
    from rotator.planning.due import due as decide

    session: Session = context.obj
    keyring = Keyring(session.config)

    def verdict(spec: ProxySpec) -> Result:
        now = datetime.now(UTC)
        ring = keyring.whole_ring(spec)  # of one that is not, nothing would ever be due again
        found = decide(spec, ring, now)
        if found.reason is DueReason.NO_WINDOW:
            from rotator.planning.windows import no_window

            raise no_window(spec)
        if not found.due and found.reason is not DueReason.NO_KEY and session.config.notify.wanted:
            from rotator.cli.telling import notice_due

            waits = notice_due(session.config, spec, now)
            if waits is not None:
                found = Due(due=True, reason=DueReason.NOTICE, message=waits, at=now)
        at = utc(found.at)
        return Result(
            site=spec.site,
            name=spec.name,
            outcome=Outcome.DUE if found.due else Outcome.UNCHANGED,
            reason=found.reason.value,
            message=found.message,
            proxy_id=ring.proxy_id,
            key=ring.at(Stage.CURRENT),
            extra={"due": found.due, "due_at": at},
        )

    results, errors = session.each(session.specs(names, site), verdict)
    some = any(result.outcome is Outcome.DUE for result in results)
    status = DUE_ERROR if errors else 0 if some else NOTHING_DUE
    session.finish(results, errors, as_json=as_json, show=_shown, status=status)


def _shown(result: Result) -> str:
    """The line for people, to whom `unchanged` would say nothing of what is due."""
    word = result.outcome.value if result.outcome is Outcome.DUE else "not due"
    return text.printable(f"{result.name}: {word}: {result.message}")
