"""New files and a new item of the keyring: all of them or none, and nothing that was there is touched."""

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from rotator.errors import KeyStoreCorrupt, KeyStoreError, UsageError
from rotator.ownership import Fault, existing, guard, not_roots
from rotator.ports import SecretStore


NOT_ROOTS: Final = (
    "name a folder that belongs to root, and those above it too, as /etc/rotator; "
    "or run it as the account that will use it: sudo -u ACCOUNT rotator init …"
)


CONFIGURATION: Final = 0o640
"""The mode of the configuration, which holds no secret."""


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to be. One of mode 0640 belongs to the group of its folder, so that root can write it for an account."""

    path: Path
    data: bytes = field(repr=False)
    mode: int


@dataclass(frozen=True, slots=True)
class Secret:
    """An item of the keyring to be; `made` is the folder that opening it makes, None where it is there already."""

    name: str
    text: str = field(repr=False)
    open: Callable[[], SecretStore]
    made: Path | None


def check(files: Sequence[NewFile]) -> None:
    """Raise UsageError where one of the files is there, or its folder cannot be written to."""
    for file in files:
        if os.path.lexists(file.path):
            raise UsageError(
                f"{file.path} is there already", hint="nothing is overwritten: name another, or move it away"
            )
        check_folder(file.path.absolute().parent)


def check_configuration(file: Path) -> None:
    """Raise UsageError where a first configuration cannot be written, or every later command would refuse it there."""
    check([NewFile(file, b"", CONFIGURATION)])
    folder = file.absolute().parent
    found = guard().way(existing(folder)) if sys.platform != "win32" else folder
    if isinstance(found, Fault):
        raise UsageError(f"a configuration in {folder} would not be safe: {found.message}", hint=found.hint)


def check_folder(folder: Path) -> None:
    """Raise UsageError where a folder cannot be written to, or not be made."""
    there = existing(folder)
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(
            f"{folder} cannot be written to: {there} is no folder that this account may write to",
            hint="name another: --config FILE before init, --state DIR after it",
        )
    fault = not_roots(there)
    if fault is not None:
        raise UsageError(f"root does not write to {folder}, since {fault.message}", hint=NOT_ROOTS)


def write(files: Sequence[NewFile], secret: Secret | None, owner: int | None) -> None:
    """Write the files in their order, the secret before the last; private ones for `owner`, a user id.

    Raises UsageError, KeyStoreError; whatever goes wrong, what was written is removed again.
    """
    with ExitStack() as undo:
        for number, file in enumerate(files, start=1):
            if secret is not None and number == len(files):
                _store(secret, undo)
            try:
                _folders(file.path.parent, undo)
                _write(file, owner, undo)
            except FileExistsError:
                raise UsageError(f"{file.path} is there already", hint="nothing is overwritten") from None
            except OSError as error:
                raise UsageError(
                    f"{file.path} cannot be written: {error.strerror}",
                    hint="nothing was left behind; mend it and try again",
                ) from None
        undo.pop_all()


def _folders(folder: Path, undo: ExitStack) -> None:
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        if sys.platform == "win32":
            guard().make_folder(place)
        else:
            place.mkdir(mode=0o750)
        undo.callback(place.rmdir)


def _write(file: NewFile, owner: int | None, undo: ExitStack) -> None:
    descriptor = _opened(file)
    undo.callback(file.path.unlink)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(file.data)
        stream.flush()
        if sys.platform != "win32":
            if file.mode & 0o077:
                os.fchown(descriptor, -1, file.path.parent.stat().st_gid)
            elif owner is not None:
                os.fchown(descriptor, owner, -1)
            os.fchmod(descriptor, file.mode)
        os.fsync(descriptor)


def _opened(file: NewFile) -> int:
    """The new file, open for writing. Its mode comes last; on Windows what is not private is as open as its folder."""
    if sys.platform == "win32" and file.mode & 0o077:
        return os.open(file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_BINARY)
    return guard().make_file(file.path)


def _store(secret: Secret, undo: ExitStack) -> None:
    if secret.made is not None:
        made = secret.made
        undo.callback(shutil.rmtree, made, ignore_errors=True)
    store = secret.open()
    if store.get(secret.name) is not None:
        if store.get(secret.name) == secret.text:
            return
        raise UsageError(
            f"the keyring has an item {secret.name} already",
            hint="name the password otherwise: --password keyring:NAME",
        )
    undo.callback(_forget, store, secret.name)
    store.set(secret.name, secret.text)
    if store.reopened().get(secret.name) != secret.text:
        raise KeyStoreCorrupt("the keyring does not give back the password as it was stored", hint="choose another")


def _forget(store: SecretStore, name: str) -> None:
    try:
        store.delete(name)
    except KeyStoreError:
        return
