"""Where the configuration file and the state are, when nobody says."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Final

from rotator.errors import ConfigError


VARIABLE: Final = "ROTATOR_CONFIG"
FILE: Final = "rotator.toml"


def find(explicit: Path | None, environ: Mapping[str, str]) -> Path:
    """The configuration file: `--config`, `$ROTATOR_CONFIG`, `/etc/rotator/rotator.toml`, the user's folder.

    Raises ConfigError naming every place that was looked at.
    """
    if explicit is not None:
        return explicit
    if environ.get(VARIABLE):
        return Path(environ[VARIABLE])
    places = [folder / FILE for folder in _folders(environ)]
    found = next((place for place in places if place.is_file()), None)
    if found is not None:
        return found
    raise ConfigError(
        "there is no configuration file; looked for " + ", ".join(str(place) for place in places),
        hint=f"name it with --config FILE or ${VARIABLE}; to try rotator without a Qlik Sense: rotator demo",
    )


def destination(explicit: Path | None, environ: Mapping[str, str]) -> Path:
    """Where a first configuration belongs: `--config`, `$ROTATOR_CONFIG`, else the first folder that may be written to."""
    if explicit is not None or environ.get(VARIABLE):
        return explicit or Path(environ[VARIABLE])
    folders = _folders(environ)
    return next((folder for folder in folders if _writable(folder)), folders[-1]) / FILE


def _writable(folder: Path) -> bool:
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return os.access(there, os.W_OK)


def _folders(environ: Mapping[str, str]) -> list[Path]:
    if sys.platform == "win32":
        return [Path(environ.get("PROGRAMDATA", r"C:\ProgramData")) / "rotator", _home(environ, "APPDATA") / "rotator"]
    if sys.platform == "darwin":
        return [Path("/etc/rotator"), Path.home() / "Library/Application Support/rotator"]
    configured = environ.get("XDG_CONFIG_HOME")
    return [Path("/etc/rotator"), (Path(configured) if configured else Path.home() / ".config") / "rotator"]


def default_state(environ: Mapping[str, str]) -> Path:
    """The state directory: `$STATE_DIRECTORY` (systemd gives the first of several), else the user's state folder."""
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given and PurePath(given).is_absolute():
        return Path(given)
    if sys.platform == "win32":
        return Path(environ.get("PROGRAMDATA", r"C:\ProgramData")) / "rotator"
    if sys.platform == "darwin":
        return Path.home() / "Library/Application Support/rotator"
    configured = environ.get("XDG_STATE_HOME")
    return (Path(configured) if configured else Path.home() / ".local/state") / "rotator"


def _home(environ: Mapping[str, str], variable: str) -> Path:
    return Path(environ[variable]) if environ.get(variable) else Path.home()
