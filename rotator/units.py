"""The systemd units that come with rotator, put in place and taken away. A file that was edited is never lost.

The last line of each installed file holds the digest of the lines above it: that is how an edited file is known from
one that an older rotator has put there.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Final

from rotator.durable import replaced
from rotator.errors import Refused, UsageError


PREFIX: Final = PurePosixPath("/opt/rotator")
"""Where the units look for rotator as they are written."""
HIDDEN: Final = tuple(map(PurePosixPath, ("/home", "/root", "/run/user", "/tmp", "/var/tmp")))  # noqa: S108 - to refuse them
"""Folders that the units' sandbox hides from rotator."""
SYSTEM: Final = "etc/systemd/system"
SERVICES: Final = ("rotator.service", "rotator-rotate@.service", "rotator-failed@.service")
_ALWAYS: Final = {
    **{name: f"{SYSTEM}/{name}" for name in (*SERVICES, "rotator-rotate@.timer", "rotator.target")},
    "rotator.sysusers": "etc/sysusers.d/rotator.conf",
    "rotator.tmpfiles": "etc/tmpfiles.d/rotator.conf",
    "rotator-shell": "usr/local/sbin/rotator",
}
_SECRET_SERVICE: Final = {
    "rotator-keyring.service": f"{SYSTEM}/rotator-keyring.service",
    "keyring-bus.conf": "etc/rotator/keyring-bus.conf",
}
_DIGEST: Final = "installed by rotator install-units, sha256 "


class UnitKeyring(StrEnum):
    """The keyrings that work without a desktop, each with the settings that its units need."""

    SEALED_FILE = "sealed-file"
    SECRET_SERVICE = "secret-service"  # noqa: S105 - a name


class Found(StrEnum):
    """What is in a file's place."""

    NOTHING = "nothing"
    SAME = "same"
    OLDER = "older"
    EDITED = "edited"


@dataclass(frozen=True, slots=True)
class UnitFile:
    """One file: its place under the root folder, and what it holds."""

    place: str
    text: str

    @property
    def mode(self) -> int:
        """Programs can be run by everybody, the rest be read."""
        return 0o755 if self.text.startswith("#!") else 0o644


def files(prefix: PurePosixPath, keyring: UnitKeyring | None) -> tuple[UnitFile, ...]:
    """What belongs in place for a rotator that is installed in `prefix`. Raises UsageError for a hidden folder."""
    hidden = next((folder for folder in HIDDEN if prefix.is_relative_to(folder)), None)
    if hidden is not None or not prefix.is_absolute():
        raise UsageError(
            f"--prefix {prefix}: the units could not see it: they run without {hidden or 'a current folder'}",
            hint=f"install rotator for all: python3 -m venv {PREFIX}",
        )
    wanted = [(name, place) for name, place in _ALWAYS.items()]
    if keyring is not None:
        wanted += [(_drop_in(keyring, service), f"{SYSTEM}/{service}.d/keyring.conf") for service in SERVICES]
    if keyring is UnitKeyring.SECRET_SERVICE:
        wanted += _SECRET_SERVICE.items()
    return tuple(UnitFile(place, _signed(_packaged(name).replace(str(PREFIX), str(prefix)))) for name, place in wanted)


def every_place() -> tuple[str, ...]:
    """Every place where `files` may have put something."""
    return (
        *_ALWAYS.values(),
        *_SECRET_SERVICE.values(),
        *(f"{SYSTEM}/{service}.d/keyring.conf" for service in SERVICES),
    )


def found(root: Path, file: UnitFile) -> Found:
    """What is in the file's place. Raises Refused."""
    there = _read(root / file.place)
    if there is None:
        return Found.NOTHING
    if there == file.text:
        return Found.SAME
    return Found.OLDER if _unedited(there) else Found.EDITED


def write(root: Path, file: UnitFile, *, beside: bool = False) -> Path:
    """Put the file in place, whole or not at all; `beside` what is there, as `.new`. Returns where. Raises Refused."""
    path = root / file.place
    path = path.with_name(path.name + ".new") if beside else path
    # systemd and its like skip names that begin with a dot.
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as opened:
            os.chmod(temporary, file.mode)  # noqa: PTH101 - whatever the umask says
            opened.write(file.text)
            opened.flush()
            os.fsync(opened.fileno())
        replaced(temporary, path)
    except OSError as error:
        raise _refused(path, "written", error) from None
    return path


def set_aside(path: Path) -> Path:
    """Rename an edited file to `.old`, which nobody reads. Returns its new path. Raises Refused."""
    try:
        return path.replace(path.with_name(path.name + ".old"))
    except OSError as error:
        raise _refused(path, "renamed", error) from None


def remove(root: Path, place: str, *, edited: bool) -> Found:
    """Take a file away if nobody edited it, or with `edited` all the same. Raises Refused.

    EDITED says that it was left, NOTHING that there was none, SAME that it is gone.
    """
    path = root / place
    there = _read(path)
    if there is None:
        return Found.NOTHING
    if not _unedited(there) and not edited:
        return Found.EDITED
    try:
        path.unlink()
        if path.parent.name.endswith(".d") and path.parent.parent.name == "system" and not any(path.parent.iterdir()):
            path.parent.rmdir()
    except OSError as error:
        raise _refused(path, "removed", error) from None
    return Found.SAME


def enabled(root: Path) -> tuple[str, ...]:
    """The units of rotator that a boot would start, by the links that `systemctl enable` makes."""
    return tuple(sorted({link.name for link in _links(root)}))


def _drop_in(keyring: UnitKeyring, service: str) -> str:
    """The file of systemd/ with what this keyring needs in this service."""
    asks_first = keyring is UnitKeyring.SEALED_FILE and service == "rotator-rotate@.service"
    return f"{keyring}-rotate.conf" if asks_first else f"{keyring}.conf"


def _links(root: Path) -> Iterator[Path]:
    for folder in (root / SYSTEM).glob("*.wants"):
        yield from folder.glob("rotator*")


def _packaged(name: str) -> str:
    """A file of the folder systemd/: inside the wheel, or beside the package in a working copy."""
    here = Path(__file__).parent
    folders: Sequence[Path] = (here / "systemd", here.parent / "systemd")
    return next(folder / name for folder in folders if folder.is_dir()).read_text(encoding="utf-8")


def _signed(text: str) -> str:
    import hashlib  # noqa: PLC0415 - this module is imported by every command, for its words

    line = _DIGEST + hashlib.sha256(text.encode()).hexdigest()
    return f"{text}<!-- {line} -->\n" if text.startswith("<") else f"{text}# {line}\n"


def _unedited(text: str) -> bool:
    above, mark, _ = text.removesuffix("\n").rpartition("\n")
    return _signed(above + mark) == text


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refused(path, "read", error) from None


def _refused(path: Path, what: str, error: OSError) -> Refused:
    return Refused(
        f"{path} cannot be {what}: {error.strerror}", hint="run it as root, or name a folder of yours: --root"
    )
