"""rotator create-proxy."""

from typing import Annotated

import typer

from rotator.cli.options import AsJson, Names, SiteName, Yes
from rotator.cli.session import Session
from rotator.cli.terminal import can_ask
from rotator.model import Outcome, Result
from rotator.report import text


def create_proxy(
    context: typer.Context,
    names: Names = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print what differs, field by field, and change nothing.")
    ] = False,
    site: SiteName = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Create the virtual proxies of the configuration, or repair them: settings, links, first key, tested login.

    A second run changes nothing. What ends sessions is asked for first, unless --yes.
    """
    from rotator.cli.wiring import Wiring
    from rotator.provisioning import create_proxy as verb

    session: Session = context.obj
    wiring = Wiring(session, consent=True if yes else None if can_ask() else False)
    specs = session.specs(names, site)
    if plan:
        results, errors = session.each(
            specs, lambda spec: wiring.locked(spec, lambda scene: verb(scene, plan_only=True), looking=True)
        )
    else:
        results, errors = wiring.each(specs, verb)
    session.finish(results, errors, as_json=as_json, show=_shown)


def _shown(result: Result) -> str:
    rows = text.plan(result) if result.outcome is Outcome.PLANNED else ""
    return "\n".join(filter(None, (text.line(result), rows, text.checks(result))))
