"""rotator adopt."""

from typing import TYPE_CHECKING, Annotated

import typer

from rotator.cli.options import AsJson, Name, SiteName, Yes
from rotator.cli.session import Session
from rotator.cli.terminal import can_ask
from rotator.errors import KeyMaterialError, UsageError
from rotator.model import short
from rotator.report import text


if TYPE_CHECKING:
    from rotator.keys import PrivateKey
    from rotator.scene import Scene


def adopt(
    context: typer.Context,
    name: Name,
    key: Annotated[
        str | None, typer.Option("--key", metavar="FILE|-", help="The private key that the virtual proxy serves.")
    ] = None,
    replace_key: Annotated[
        bool, typer.Option("--replace-key", help="Nobody has the private key any more: put a fresh one in its place.")
    ] = False,
    fingerprint: Annotated[
        str | None,
        typer.Option("--fingerprint", metavar="HEX", help="Confirms, without a terminal, which key is replaced."),
    ] = None,
    site: SiteName = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take over a virtual proxy that already serves users: with its private key, without a write to the server.

    With --replace-key a fresh key is put in place of one that is lost, once its fingerprint is confirmed.
    """
    from rotator import adoption
    from rotator.cli.wiring import Wiring

    session: Session = context.obj
    spec = session.one(name, site)
    if (key is None) is not replace_key:
        raise UsageError("adopt takes either --key FILE or --replace-key", hint="see rotator adopt --help")
    if fingerprint is not None and not replace_key:
        raise UsageError("--fingerprint belongs to --replace-key", hint="see rotator adopt --help")
    wiring = Wiring(session, consent=None if can_ask() and not yes else True)
    # What is taken in is proven by a login, or confirmed by a person: an older or empty keyring does not stop it.
    if key is not None:
        private = _private(key)
        results, errors = wiring.each([spec], lambda scene: adoption.adopt(scene, private), recovering=True)
    else:
        confirmed = fingerprint if fingerprint is not None else typed_fingerprint(wiring.scene(spec))
        results, errors = wiring.each([spec], lambda scene: adoption.replace_key(scene, confirmed), recovering=True)
    session.finish(results, errors, as_json=as_json, show=text.with_checks)


def typed_fingerprint(scene: "Scene") -> str:
    """The fingerprint as a person at the terminal typed it; elsewhere nothing, which is then refused."""
    from rotator import adoption

    if not can_ask():
        return ""
    shown = adoption.shown_fingerprint(scene)
    typer.echo(f"rotator: the virtual proxy holds the key {short(shown) if shown else 'none'}", err=True)
    typer.echo("rotator: whoever logs in with that key is locked out by its replacement", err=True)
    return str(typer.prompt("Type the fingerprint to replace it", err=True))


def _private(path: str) -> "PrivateKey":
    from rotator.keys import PrivateKey

    data = _read(path)
    try:
        return PrivateKey.from_file_bytes(data)
    except KeyMaterialError as error:
        raise KeyMaterialError(f"--key {path}: {error.message}", hint=error.hint) from None


def _read(path: str) -> bytes:
    from rotator.cli.secret_input import given
    from rotator.keystore.secret_refs import LARGEST

    data = given(path, "--key")
    if not data.strip() or len(data) > LARGEST:
        raise KeyMaterialError(f"--key {path}: {'too large for' if data.strip() else 'empty, not'} a private key")
    return data
