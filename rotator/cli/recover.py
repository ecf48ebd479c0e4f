"""rotator recover."""

from typing import TYPE_CHECKING, Annotated

import typer

from rotator.cli.options import AsJson, Names, SiteName, Yes
from rotator.cli.session import Session
from rotator.cli.terminal import can_ask
from rotator.errors import UsageError
from rotator.report import text


if TYPE_CHECKING:
    from rotator.model import Result
    from rotator.scene import Scene


def recover(
    context: typer.Context,
    names: Names = None,
    site: SiteName = None,
    replace_lost_key: Annotated[
        bool,
        typer.Option("--replace-lost-key", help="The server's key is lost for good: put a fresh one in its place."),
    ] = False,
    fingerprint: Annotated[
        str | None,
        typer.Option("--fingerprint", metavar="HEX", help="Confirms, without a terminal, which key is replaced."),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Bring keyring and server back together after a crash, a lost state directory or a restored keyring.

    Asks both, finishes or undoes what was under way, and believes nothing before a test login. What only a person can
    decide is told, and changes nothing.
    """
    from rotator.cli.wiring import Wiring
    from rotator.recovery import LostKey
    from rotator.recovery import recover as verb

    session: Session = context.obj
    specs = session.specs(names, site)
    if fingerprint is not None and not replace_lost_key:
        raise UsageError("--fingerprint belongs to --replace-lost-key", hint="see rotator recover --help")
    if replace_lost_key and len(specs) != 1:
        raise UsageError("--replace-lost-key is for one virtual proxy", hint="name it: rotator recover NAME …")
    wiring = Wiring(session, consent=None if can_ask() and not yes else True)
    lost = None
    if replace_lost_key:
        from rotator.cli.adopt import typed_fingerprint

        lost = LostKey(fingerprint if fingerprint is not None else typed_fingerprint(wiring.scene(specs[0])))

    def recovered(scene: "Scene") -> "Result":
        return verb(scene, lost)

    results, errors = wiring.each(specs, recovered, recovering=True)
    session.finish(results, errors, as_json=as_json, show=text.with_checks)
