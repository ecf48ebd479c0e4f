"""rotator release."""

from pathlib import Path
from typing import Annotated

import typer

from rotator.cli.options import AsJson, Name, SiteName, Yes
from rotator.cli.session import Session
from rotator.cli.terminal import can_ask
from rotator.errors import TryLater


def release(
    context: typer.Context,
    name: Name,
    private_to: Annotated[
        Path | None,
        typer.Option("--private-to", metavar="FILE", help="First write the current private key to a new file."),
    ] = None,
    site: SiteName = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Stop managing a virtual proxy: it stays as it is on the server, its keys are deleted here."""
    from rotator.adoption import release as verb
    from rotator.cli.files import write_private
    from rotator.cli.wiring import Wiring

    session: Session = context.obj
    spec = session.one(name, site)
    wiring = Wiring(session)
    if private_to is None and not yes and can_ask() and not _sure(name):
        raise TryLater(f"{name}: not confirmed; nothing was deleted")
    take_along = None if private_to is None else lambda key: write_private(private_to, key.to_pem())
    results, errors = wiring.each([spec], lambda scene: verb(scene, take_along))
    session.finish(results, errors, as_json=as_json)


def _sure(name: str) -> bool:
    return typer.confirm(
        f"Delete the private keys of {name}? Nobody can sign its tokens then, unless the key was exported", err=True
    )
