r"""Where the configuration file and the state are, when nobody says.

On Windows that is one folder of the machine, `%ProgramData%\rotator`, and none of the user's: an administrator at a
prompt and the scheduled task of a service account must not look in different places.
"""

import errno
import os
import stat
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Final

from rotator.accounts import account, of_group
from rotator.errors import ConfigError
from rotator.invocation import CONFIGURATION, as_account
from rotator.ownership import Cause, Fault, Use, existing, guard


FILE: Final = "rotator.toml"
EXAMPLE: Final = "rotator.example.toml"


def find(explicit: Path | None, environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """The configuration file: `--config`, `$ROTATOR_CONFIG`, the machine's folder, the user's folder.

    Raises ConfigError naming every place that was looked at, or the one that this account may not look at: what is in it
    might come first.
    """
    if explicit is not None:
        return _guarded(explicit, environ, platform)
    if environ.get(CONFIGURATION):
        return _guarded(Path(environ[CONFIGURATION]), environ, platform)
    places = [folder / FILE for folder in _folders(environ, platform)]
    found = next((place for place in places if _is_file(place)), None)
    if found is not None:
        return _guarded(found, environ, platform)
    raise ConfigError(
        "there is no configuration file; looked for " + ", ".join(str(place) for place in places),
        hint=f"name it with --config FILE or ${CONFIGURATION}; to try rotator without a Qlik Sense: rotator demo",
    )


def _is_file(place: Path) -> bool:
    """Whether it is there. Raises ConfigError where this account may not see that."""
    try:
        return stat.S_ISREG(place.stat().st_mode)
    except PermissionError as error:
        raise denied(place, error) from None
    except OSError:
        return False


def denied(place: Path, error: PermissionError) -> ConfigError:
    """The error for a file that this account may not look at, with the command for an account that may."""
    return ConfigError(
        f"{place} cannot be read by this account, {guard().account()}: {error.strerror}",
        hint=f"run it as an account that may: {as_account(_reader(place))}; or name another file with --config FILE",
    )


def _reader(place: Path) -> str:
    """An account that may look at a place: of the first thing on the way back that shows it, owner or, for root's, group."""
    for each in (place, *place.absolute().parents):
        with suppress(OSError):
            found = each.stat()
            return (of_group(found.st_gid) if found.st_uid == 0 else None) or account(found.st_uid)
    return account(0)


def destination(explicit: Path | None, environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """Where a first configuration belongs: `--config`, `$ROTATOR_CONFIG`, else the first folder that may be written to."""
    if explicit is not None or environ.get(CONFIGURATION):
        return explicit or Path(environ[CONFIGURATION])
    folders = _folders(environ, platform)
    return next((folder for folder in folders if _writable(folder)), folders[-1]) / FILE


def example() -> Path:
    """The file that explains every key: inside the package where it is installed, beside it in a working copy."""
    package = Path(__file__).parents[1]
    installed = package / "examples" / EXAMPLE
    return installed if installed.is_file() else package.parent / "config" / EXAMPLE


def _writable(folder: Path) -> bool:
    return os.access(existing(folder), os.W_OK)


def _folders(environ: Mapping[str, str], platform: str) -> list[Path]:
    if platform == "win32":
        return [program_data(environ)]
    if platform == "darwin":
        return [Path("/etc/rotator"), Path.home() / "Library/Application Support/rotator"]
    configured = environ.get("XDG_CONFIG_HOME")
    return [Path("/etc/rotator"), (Path(configured) if configured else Path.home() / ".config") / "rotator"]


def program_data(environ: Mapping[str, str]) -> Path:
    """The machine's folder of rotator on Windows."""
    return Path(environ.get("PROGRAMDATA") or r"C:\ProgramData") / "rotator"


def _guarded(file: Path, environ: Mapping[str, str], platform: str) -> Path:
    r"""The file. Raises ConfigError for one that another account can change, or put there.

    It names the server, its root, whom tokens are signed for, and programs that are run: it has to be as safe as those
    programs. In `%ProgramData%\rotator` the folder counts too. Every user may make folders in `%ProgramData%`, and would
    own them: a configuration planted there before rotator is installed would have its hook run by the service account.
    """
    fault = _fault(file, environ, platform)
    if fault is None or fault.cause is Cause.UNREADABLE:  # which is told where it is read
        return file
    hint = fault.hint
    if fault.cause is Cause.FOREIGN and platform != "win32":
        _see_readable(file)
        hint = f"{fault.hint}; or, if you know what is in it, give it to root: chown root {fault.path}"
    raise ConfigError(f"the configuration is not safe: {fault.message}", hint=hint)


def _fault(file: Path, environ: Mapping[str, str], platform: str) -> Fault | None:
    folder = program_data(environ)
    if platform == "win32" and folder in file.absolute().parents:
        faults = (guard().fault(place, Use.GUARDED) for place in (folder, file) if place.exists())
        return next(filter(None, faults), None)
    found = guard().way(file)
    return found if isinstance(found, Fault) else None


def _see_readable(file: Path) -> None:
    """Raise ConfigError where this account may not read another one's file: that is told first, as the nearer cause."""
    _is_file(file)
    if file.exists() and not os.access(file, os.R_OK):
        raise denied(file, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


def default_state(environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    r"""The state directory: `$STATE_DIRECTORY` (systemd gives the first of several), else the user's state folder.

    On Windows `%ProgramData%\rotator\state`, for every account.
    """
    if platform == "win32":
        return program_data(environ) / "state"
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given and PurePath(given).is_absolute():
        return Path(given)
    if platform == "darwin":
        return Path.home() / "Library/Application Support/rotator"
    configured = environ.get("XDG_STATE_HOME")
    return (Path(configured) if configured else Path.home() / ".local/state") / "rotator"
