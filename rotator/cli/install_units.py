"""rotator install-units."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from rotator import units
from rotator.cli.options import AsJson
from rotator.cli.session import Session
from rotator.errors import ConfigError, UsageError
from rotator.model import Outcome, Result
from rotator.report import text
from rotator.units import PREFIX, Found, UnitFile, UnitKeyring


HERE = Path("/")


def install_units(
    context: typer.Context,
    root: Annotated[Path, typer.Option("--root", metavar="DIR", help="Write under this folder, e.g. an image.")] = HERE,
    prefix: Annotated[
        str, typer.Option("--prefix", metavar="DIR", help="The virtual environment that the units run rotator from.")
    ] = str(PREFIX),
    keyring: Annotated[
        UnitKeyring | None, typer.Option("--keyring", help="Also what this keyring needs to work without a desktop.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Edited files too: what was there stays beside it as .old.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the files away again, but edited ones.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put the systemd units, the account and the folders of rotator in place, and say what to enable.

    Starts and enables nothing itself. Run again after each upgrade: what nobody edited is brought up to date; an edited
    file stays as it is, with the new one beside it as .new.
    """
    session: Session = context.obj
    if remove:
        results = list(_removed(root, edited=replace))
        commands = ["systemctl daemon-reload"]
    else:
        _check(root, PurePosixPath(prefix))
        results = list(_installed(root, PurePosixPath(prefix), keyring, replace=replace))
        commands = _commands(session, root)
    results.append(
        Result(site="", name="commands", outcome=Outcome.SHOWN, reason="Next", extra={"commands": [*commands]})
    )
    session.finish(results, as_json=as_json, show=_shown)


def _shown(result: Result) -> str:
    commands = result.extra.get("commands")
    if isinstance(commands, list):
        return "\n".join(("Next, as root:", *(f"  {command}" for command in commands)))
    return text.line(result)


def _check(root: Path, prefix: PurePosixPath) -> None:
    """Raise UsageError where the units would start nothing on this machine."""
    program = Path(prefix, "bin", "rotator")
    if root == HERE and not program.is_file():
        raise UsageError(
            f"there is no {program}, which the units would run",
            hint=f"install rotator there, or name where it is: --prefix {sys.prefix}",
        )


def _installed(root: Path, prefix: PurePosixPath, keyring: UnitKeyring | None, *, replace: bool) -> Iterator[Result]:
    for file in units.files(prefix, keyring):
        yield _put(root, file, units.found(root, file), replace=replace)


def _put(root: Path, file: UnitFile, found: Found, *, replace: bool) -> Result:
    place = root / file.place
    match found:
        case Found.SAME:
            return _result(place, Outcome.UNCHANGED, found)
        case Found.NOTHING:
            units.write(root, file)
            return _result(place, Outcome.CREATED, found)
        case Found.OLDER:
            units.write(root, file)
            return _result(place, Outcome.REPLACED, found)
        case Found.EDITED if replace:
            old = units.set_aside(place)
            units.write(root, file)
            return _result(place, Outcome.REPLACED, found, f"it was edited: that is now {old}")
        case Found.EDITED:
            new = units.write(root, file, beside=True)
            return _result(place, Outcome.KEPT, found, f"it was edited; the new one is {new}, or say --replace")


def _removed(root: Path, *, edited: bool) -> Iterator[Result]:
    enabled = units.enabled(root)
    if enabled:
        raise UsageError(
            f"still enabled: {', '.join(enabled)}", hint=f"systemctl disable --now {' '.join(enabled)}, then try again"
        )
    for place in units.every_place():
        match units.remove(root, place, edited=edited):
            case Found.NOTHING:
                pass
            case Found.EDITED:
                said = "it was edited; remove it by hand, or say --replace"
                yield _result(root / place, Outcome.KEPT, Found.EDITED, said)
            case found:
                yield _result(root / place, Outcome.REMOVED, found)


def _result(place: Path, outcome: Outcome, found: Found, message: str = "") -> Result:
    return Result(site="", name=str(place), outcome=outcome, reason=found.value.capitalize(), message=message)


def _commands(session: Session, root: Path) -> list[str]:
    names = ["NAME"]
    if root == HERE:
        with suppress(ConfigError):
            names = list(session.config.proxies) or names
    timers = " ".join(f"rotator-rotate@{name}.timer" for name in names)
    return [
        "systemd-sysusers rotator.conf",
        "systemd-tmpfiles --create rotator.conf",
        "systemctl daemon-reload",
        f"systemctl enable --now rotator.target {timers}",
    ]
