"""rotator status."""

import typer

from rotator.cli.options import AsJson, Names, SiteName
from rotator.cli.session import Session, found_wrong
from rotator.model import Json, Outcome, Result, counted, short
from rotator.report import text


HEAD = ("name", "site", "prefix", "key", "age of key", "certificate ends", "linked", "due")


def status(context: typer.Context, names: Names = None, site: SiteName = None, as_json: AsJson = False) -> None:
    """Show the virtual proxies as the server and the keyring have them now."""
    from rotator.cli.telling import after_look
    from rotator.cli.wiring import Wiring
    from rotator.inspection import status as verb

    session: Session = context.obj
    wiring = Wiring(session)
    specs = session.specs(names, site)
    results, errors = session.each(specs, lambda spec: verb(wiring.scene(spec)))
    shown = [result for result in results if result.outcome is not Outcome.FAILED]
    errors += [found_wrong(result) for result in shown if result.exit_status]
    errors += after_look(session, wiring, specs)
    above = text.table(HEAD, map(_row, shown)) if shown else ""
    session.finish(results, errors, as_json=as_json, show=_under_way, above=above)


def _under_way(result: Result) -> str:
    """The line beneath the table on a change that is not finished. Where an error follows, that says what to do."""
    if not result.extra.get("unfinished"):
        return ""
    shown = short(str(result.extra["server_fingerprint"] or "none"))
    told = f"{result.name}: a change is under way ({result.extra['unfinished']}; the server shows {shown})"
    return text.printable(told if result.exit_status else f"{told}: rotator rotate {result.name} finishes or undoes it")


def _row(result: Result) -> list[str]:
    extra = result.extra
    linked = extra.get("linked")
    return [
        result.name,
        result.site,
        str(extra.get("prefix")),
        short(result.key.fingerprint) if result.key else "none",
        _age(result),
        _day(extra.get("certificate_not_after")),
        ", ".join(map(str, linked)) if isinstance(linked, list) else "",
        "now" if extra.get("due") else _day(extra.get("due_at")),
    ]


def _age(result: Result) -> str:
    from datetime import UTC, datetime

    return counted((datetime.now(UTC) - result.key.created).days, "day") if result.key else "-"


def _day(moment: Json) -> str:
    return str(moment)[:10] if moment else "-"
