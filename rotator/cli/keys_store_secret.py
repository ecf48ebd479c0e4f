"""rotator keys store-secret."""

import os
import re
from typing import Annotated

import typer

from rotator.cli.options import AsJson
from rotator.cli.session import Session
from rotator.errors import KeyStoreCorrupt, UsageError
from rotator.model import Outcome, Result


def store_secret(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the configuration calls keyring:NAME.")],
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="FILE|-", help="Where the secret is read from; else it is asked for."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Store it over the one that is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Store a password in the keyring, for keyring:NAME in the configuration. It is never an argument, and never shown."""
    from rotator.cli.keyring import belonging
    from rotator.cli.secret_input import secret_text
    from rotator.cli.whole_keyring import KEYRING, held
    from rotator.keystore.backends import open_store
    from rotator.keystore.secret_refs import item

    session: Session = context.obj
    session.command = "keys store-secret"
    if not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
        raise UsageError(f"{name!r} is no name of a secret", hint="use letters, digits, '-', '_' and '.'")
    text = secret_text(source, "--from", f"Secret for keyring:{name}")
    with held(session) as (journal, ending):
        store = open_store(session.config.keyring, os.environ)
        belonging(session.config, store)
        if store.get(item(name)) is not None and not replace:
            raise UsageError(f"the keyring has a secret {name} already", hint="--replace stores this one over it")
        with journal.effect("store item", item(name)):
            store.set(item(name), text)
        if store.reopened().get(item(name)) != text:
            raise KeyStoreCorrupt(
                f"the keyring does not give back the secret {name} as it was stored", hint="rotator doctor"
            )
        message = f"the secret is in the keyring, as keyring:{name}"
        result = ending.took(Result(*KEYRING, Outcome.STORED, "SecretStored", message))
    session.finish([result], as_json=as_json)
