"""rotator keys migrate."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rotator.cli.options import AsJson
from rotator.cli.session import Session
from rotator.errors import UsageError
from rotator.model import Json, KeyringSettings, Outcome, Result
from rotator.report import text


if TYPE_CHECKING:
    from rotator.keystore.migration import Moved


def migrate(
    context: typer.Context,
    to: Annotated[
        Path,
        typer.Option("--to", metavar="FILE", help="A file with the [keyring] to move to, as a configuration has it."),
    ],
    delete_source: Annotated[
        bool, typer.Option("--delete-source", help="Delete the items here, once all of them are proven there.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Move all keys and secrets of this configuration to another keyring, and prove each of them there.

    Only [keyring] is read of FILE: it may be the configuration of tomorrow. Nothing is deleted here unless told to. Cut
    short, run it again. It says which lines of the configuration to change then.
    """
    from rotator.cli.whole_keyring import KEYRING, enter_sites, held
    from rotator.config import load_keyring, place
    from rotator.config.writing import keyring_lines
    from rotator.keystore.backends import keyring_name, open_store
    from rotator.keystore.migration import Migration

    session: Session = context.obj
    session.command = "keys migrate"
    config, settings = session.config, load_keyring(to)
    if _same(config.keyring, settings):
        raise UsageError(
            f"--to {to} names the keyring of the configuration itself: {keyring_name(settings)}",
            hint="it must name another one; if the configuration was changed already, all is done: rotator doctor",
        )
    with held(session) as (journal, ending):
        source, target = open_store(config.keyring, os.environ), open_store(settings, os.environ)
        enter_sites(config, source, journal)
        moved = Migration(config, source, target, keyring_name(settings), journal).run(delete_source=delete_source)
        extra: dict[str, Json] = {
            "from": keyring_name(config.keyring),
            "to": keyring_name(settings),
            "deleted": delete_source,
            "change": {"where": place(config.source, ("keyring", "backend")), "to": [*keyring_lines(settings)]},
            "proxies": [_row(item) for item in moved],
        }
        kept = f"{'deleted from' if delete_source else 'and still in'} {keyring_name(config.keyring)}"
        message = f"all keys are in {keyring_name(settings)}, each proven by a signature, {kept}"
        changed = delete_source or any(item.copied for item in moved)
        outcome = Outcome.MIGRATED if changed else Outcome.UNCHANGED
        result = ending.took(Result(*KEYRING, outcome, "Migrated", message, extra=extra))
    session.finish([result], as_json=as_json, show=lambda shown: _shown(shown, to, moved))


def _same(one: KeyringSettings, other: KeyringSettings) -> bool:
    if one.backend is not other.backend:
        return False
    return one.path is None or other.path is None or one.path.resolve() == other.path.resolve()


def _row(moved: "Moved") -> Json:
    return {
        "site": moved.spec.site,
        "name": moved.spec.name,
        "generation": moved.ring.generation,
        "keys": len(moved.ring.keys),
        "stored": moved.copied,
    }


def _shown(result: Result, to: Path, moved: "tuple[Moved, ...]") -> str:
    rows = [[item.spec.name, str(len(item.ring.keys)), str(item.copied)] for item in moved]
    change = result.extra["change"]
    assert isinstance(change, dict)  # noqa: S101 - made above
    lines = change["to"]
    assert isinstance(lines, list)  # noqa: S101 - made above
    said = [text.line(result), text.table(("name", "keys", "items stored now"), rows)]
    said += [f"change {change['where']}: [keyring] becomes", *(f"  {line}" for line in lines)]
    if not result.extra["deleted"]:
        said.append(
            f"to delete them here after that: rotator keys migrate --to {to} --delete-source, with this configuration"
        )
    return "\n".join(said)
