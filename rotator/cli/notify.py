"""rotator notify."""

from typing import Annotated

import typer

from rotator.cli.options import AsJson
from rotator.cli.session import Session
from rotator.errors import ConfigError, ExitStatus, UsageError
from rotator.model import Outcome, Result
from rotator.report import text


def notify(
    context: typer.Context,
    test: Annotated[
        bool, typer.Option("--test", help="Send a test notice through every channel now, and show what each says.")
    ] = False,
    unit: Annotated[
        str | None,
        typer.Option(
            "--unit", metavar="UNIT", help="For OnFailure=: tell that this systemd unit failed, unless it has itself."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Deliver the notices that wait, and say what became of each.

    Every run does this too; what a channel did not take is tried again for 7 days.
    """
    from rotator.cli import telling

    session: Session = context.obj
    if test and unit is not None:
        raise UsageError("--test and --unit exclude each other", hint="give one of them")
    settings, known = telling.configured(session)
    if settings is None or not settings.notify.wanted:
        if test or settings is None:
            from rotator.config import example

            _ = session.config  # which says what is wrong with it
            raise ConfigError(
                "no channel is configured, so nobody is told of anything",
                hint=f"say how, in [notify]: hooks, webhook or mail; see {example()}",
            )
        typer.echo("rotator: no channel is configured: see [notify]", err=True)
        session.finish([], as_json=as_json)
    after = telling.afterwards(session, settings)
    if test:
        sent = after.test()
    elif unit is not None:
        name = instance(unit, {name for _, name in known} if known is not None else set())
        site = next((site for site, other in known or () if other == name), "")
        sent = after.unit_failed(unit, site, name, known)
    else:
        sent = after.dispatch.deliver()
    results = [
        Result(
            site=each.notice.site,
            name=each.notice.name,
            outcome=Outcome.DELIVERED if each.cause is None else Outcome.FAILED,
            reason=each.notice.event.value,
            message=each.cause or "",
            exit_status=ExitStatus.DONE if each.cause is None else ExitStatus.NOT_DELIVERED,
            extra={"channel": each.channel, "notice": each.notice.id},
        )
        for each in sent
    ]
    if not as_json:
        rows = [[str(r.extra["channel"]), r.reason, r.name, r.outcome.value, r.message] for r in results]
        typer.echo(text.table(("channel", "event", "of", "result", "detail"), rows) if rows else "no notice waits")
    session.finish(results, as_json=as_json, show=lambda _: "")


def instance(unit: str, names: set[str]) -> str:
    """The virtual proxy that a unit works for: the instance of `rotator-rotate@NAME.service`, or a plain NAME."""
    _, at, rest = unit.partition("@")
    if at:
        return rest.rpartition(".")[0] or rest
    return unit if unit in names else ""
