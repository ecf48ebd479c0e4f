"""rotator notify."""

from typing import TYPE_CHECKING, Annotated

import typer

from rotator.cli.options import AsJson
from rotator.cli.output import told
from rotator.cli.session import Session
from rotator.errors import ConfigError, ExitStatus, UsageError
from rotator.model import Outcome, Result
from rotator.report import text


if TYPE_CHECKING:
    from rotator.afterwards import Known


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
    trouble: Annotated[str | None, typer.Option("--trouble", hidden=True, help="What the daemon saw.")] = None,
    reason: Annotated[str, typer.Option("--reason", hidden=True, help="Its one word.")] = "RunFailed",
    hint: Annotated[str | None, typer.Option("--hint", hidden=True, help="What to do about it.")] = None,
    over: Annotated[bool, typer.Option("--over", hidden=True, help="The daemon can look again.")] = False,
    name: Annotated[list[str] | None, typer.Option("--name", hidden=True, help="Of these virtual proxies.")] = None,
    as_json: AsJson = False,
) -> None:
    """Deliver the notices that wait, and say what became of each.

    Every run does this too; what a channel did not take is tried again for 7 days.
    """
    from rotator.cli import telling

    session: Session = context.obj
    if sum((test, unit is not None, trouble is not None, over)) > 1:
        raise UsageError("--test, --unit, --trouble and --over exclude each other", hint="give one of them")
    settings, known = telling.configured(session)
    if settings is None or not settings.notify.wanted:
        if test or settings is None:
            from rotator.config import example

            _ = session.config  # which says what is wrong with it
            raise ConfigError(
                "no channel is configured, so nobody is told of anything",
                hint=f"say how, in [notify]: hooks, webhook or mail; see {example()}",
            )
        told("rotator: no channel is configured: see [notify]")
        session.finish([], as_json=as_json)
    after = telling.afterwards(session, settings)
    if test:
        sent = after.test()
    elif unit is not None:
        of = instance(unit, {name for _, name in known} if known is not None else set())
        sent = after.unit_failed(unit, _site(of, known), of, known)
    elif trouble is not None:
        from rotator.planning.notices import seen

        of = name[0] if name else ""
        sent = after.trouble(seen(_site(of, known), of, reason, trouble, hint), known)
    elif over:
        sent = after.over([(site, of) for site, of in known or () if of in (name or ())], known)
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
    rows = [[str(r.extra["channel"]), r.reason, r.name, r.outcome.value, r.message] for r in results]
    shown = text.table(("channel", "event", "of", "result", "detail"), rows) if rows else "no notice waits"
    session.finish(results, as_json=as_json, show=lambda _: "", above=shown)


def _site(name: str, known: "Known | None") -> str:
    return next((site for site, other in known or () if other == name), "")


def instance(unit: str, names: set[str]) -> str:
    """The virtual proxy that a unit works for: the instance of `rotator-rotate@NAME.service`, or a plain NAME."""
    _, at, rest = unit.partition("@")
    if at:
        return rest.rpartition(".")[0] or rest
    return unit if unit in names else ""
