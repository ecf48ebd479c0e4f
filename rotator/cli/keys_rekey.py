"""rotator keys rekey."""

import os
from typing import Annotated

import typer

from rotator.cli.options import AsJson
from rotator.cli.session import Session
from rotator.model import Json, Outcome, Result, counted
from rotator.report import text


def rekey(
    context: typer.Context,
    new_master_key: Annotated[
        str,
        typer.Option(
            "--new-master-key", metavar="REF", help="Where the new key is: file:PATH, credential:NAME or dpapi:PATH."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Give the sealed-file keyring a new master key: every item is sealed anew, and the old key opens nothing any more.

    Until all of it is done the old key opens everything; cut short, run it again. It says which line of the
    configuration to change then.
    """
    from rotator.cli.keyring import belonging
    from rotator.cli.whole_keyring import KEYRING, held, reference
    from rotator.config import place
    from rotator.config.writing import quoted
    from rotator.keystore import inventory
    from rotator.keystore.backends import open_for_rekey, read_master_key

    session: Session = context.obj
    session.command = "keys rekey"
    new = reference(new_master_key, "--new-master-key")
    key = read_master_key(new, os.environ)
    config, settings = session.config, session.config.keyring
    with held(session) as (journal, ending):
        store = open_for_rekey(settings, new, os.environ)
        belonging(config, store)
        names = inventory.names(store, config)
        with journal.effect("change the master key", str(new)):
            items, changed = store.rekey(key, names)
        message = (
            f"{counted(items, 'item')} sealed under the new master key, and the one before opens nothing"
            if changed
            else f"{counted(items, 'item')} sealed under this master key already"
        )
        told: dict[str, Json] = {"items": items, "change": None}
        if new != settings.master_key:
            where = place(config.source, ("keyring", "master_key"))
            told["change"] = {"where": where, "to": f"master_key = {quoted(str(new))}"}
        outcome = Outcome.REKEYED if changed else Outcome.UNCHANGED
        result = ending.took(Result(*KEYRING, outcome, "Rekeyed", message, extra=told))
    session.finish([result], as_json=as_json, show=_shown)


def _shown(result: Result) -> str:
    change = result.extra["change"]
    if not isinstance(change, dict):
        return text.line(result)
    return f"{text.line(result)}\nchange {change['where']}, to: {change['to']}"
