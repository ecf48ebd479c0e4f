"""rotator verify."""

import typer

from rotator.cli.options import AsJson, Names, SiteName
from rotator.cli.session import Session
from rotator.report import text


def verify(context: typer.Context, names: Names = None, site: SiteName = None, as_json: AsJson = False) -> None:
    """Test logins on every linked proxy: the current key is accepted, everything else is refused."""
    from rotator.cli.wiring import Wiring
    from rotator.inspection import verify as verb

    session: Session = context.obj
    wiring = Wiring(session)
    results, errors = wiring.each(session.specs(names, site), verb)
    session.finish(results, errors, as_json=as_json, show=text.with_checks)
