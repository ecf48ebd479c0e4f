"""rotator rollback."""

import typer

from rotator.cli.options import AsJson, Name, SiteName, Yes
from rotator.cli.session import Session
from rotator.cli.terminal import can_ask
from rotator.report import text


def rollback(
    context: typer.Context, name: Name, site: SiteName = None, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Put the previous key back in place, tested like a new one.

    For consumers that cannot use the new key yet. Every linked proxy restarts and ends its sessions; the key that was
    current becomes the previous one, so that a second rollback goes forward again.
    """
    from rotator.cli.wiring import Wiring
    from rotator.recovery import rollback as verb

    session: Session = context.obj
    wiring = Wiring(session, consent=None if can_ask() and not yes else True)
    results, errors = wiring.each([session.one(name, site)], verb)
    session.finish(results, errors, as_json=as_json, show=text.with_checks)
