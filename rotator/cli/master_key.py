"""rotator keys master-key."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rotator.cli.options import AsJson
from rotator.cli.session import Session
from rotator.cli.terminal import STANDARD_INPUT, piped
from rotator.errors import SecretUnavailable, UsageError
from rotator.model import Outcome, Result, SecretKind, SecretRef


def master_key(
    context: typer.Context,
    output: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="A new file, readable by its owner alone.")
    ] = None,
    dpapi: Annotated[
        Path | None, typer.Option("--dpapi", metavar="FILE", help="A new file that Windows protects (DPAPI).")
    ] = None,
    scope: Annotated[
        Literal["machine", "user"] | None,
        typer.Option(
            "--scope",
            help="With --dpapi, who opens it: who may read it on this machine, or this account alone.",
            show_default="machine",
        ),
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="FILE", help="Protect this master key, or - for standard input.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a master key for the keyring sealed-file: 32 random bytes in a new file. It is never printed.

    With --dpapi the file is of use on this machine alone, for scheduled tasks that cannot open the Credential Manager.
    """
    from rotator.cli.files import write_private
    from rotator.config.writing import quoted
    from rotator.keystore.sealing import as_file, new_master_key

    session: Session = context.obj
    session.command = "keys master-key"
    if (output is None) == (dpapi is None):
        raise UsageError("name one new file for the master key", hint="--output FILE, or on Windows --dpapi FILE")
    if scope is not None and dpapi is None:
        raise UsageError(
            "--scope belongs to --dpapi", hint="who may read the file of --output is said by its mode alone"
        )
    key = new_master_key() if source is None else _given(source)
    if dpapi is not None:
        file, reference = dpapi.absolute(), SecretRef(SecretKind.DPAPI, str(dpapi.absolute()))
        write_private(file, _protected(reference, key, scope or "machine"))
        opens = "this account alone" if scope == "user" else "every account of this machine that may read it"
        told = f"{file} holds the master key for {opens}"
    else:
        assert output is not None  # noqa: S101 - one of both is
        file, reference = output.absolute(), SecretRef(SecretKind.FILE, str(output.absolute()))
        write_private(file, as_file(key))
        told = f"{file} holds the master key"
    result = Result(
        site="",
        name="",
        outcome=Outcome.SHOWN,
        reason="MasterKeyWritten",
        message=told,
        extra={"file": str(file), "reference": str(reference), "scope": (scope or "machine") if dpapi else None},
    )
    shown = f"{told}\nin [keyring]: master_key = {quoted(str(reference))}\nwithout it the keyring is lost: keep a copy apart from it"
    session.finish([result], as_json=as_json, show=lambda _: shown)


def _given(source: Path) -> bytes:
    """A master key that there is already, checked."""
    from rotator.keystore.sealing import master_key as checked
    from rotator.keystore.secret_refs import read

    if source == Path(STANDARD_INPUT):
        return checked(piped(f"--from {source}", 1024), "standard input")
    reference = SecretRef(SecretKind.FILE, str(source))
    return checked(read(reference, {}), str(source))


def _protected(reference: SecretRef, key: bytes, scope: str) -> bytes:
    from rotator.windows.dpapi import Refused, Scope, protected

    try:
        return protected(key, Scope(scope))
    except Refused as refused:
        raise SecretUnavailable(f"{reference}: {refused.cause}", hint=refused.hint) from None
