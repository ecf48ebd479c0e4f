"""The questions about the keyring: which one, and that it stores, gives back and deletes."""

import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from rotator import diagnosis
from rotator.cli.init.interview import Interview, plain
from rotator.cli.init.writing import NOT_ROOTS, Secret
from rotator.config import values
from rotator.diagnosis import Health
from rotator.errors import KeyStoreError, KeyStoreUnavailable, SecretUnavailable
from rotator.keystore import sealing
from rotator.keystore.backends import open_store, read_master_key
from rotator.keystore.sealed_file import SealedFiles, is_made
from rotator.keystore.secret_refs import item
from rotator.model import KeyringBackend, KeyringSettings, SecretKind, SecretRef
from rotator.ownership import existing, not_roots
from rotator.ports import SecretStore


USUAL_CREDENTIAL = "rotator-master-key"


@dataclass(frozen=True, slots=True)
class Chosen:
    """The keyring; `new_master_key` is what has to be written to the file that it names, where one is made now."""

    settings: KeyringSettings
    new_master_key: bytes | None = field(default=None, repr=False)


def ask(interview: Interview, folder: Path, keys: Path, password: SecretRef | None, *, own: bool) -> Chosen:
    """The keyring, tried. `keys` is the usual folder of sealed-file, `password` may have to be stored in the keyring.

    `own`: it will be used by the account that asks now.
    """
    words = {backend.value: backend for backend in KeyringBackend}
    while True:
        backend = interview.ask(
            "--keyring",
            "Keyring of the private keys",
            plain(values.one_of(words)),
            default={"darwin": "macos", "win32": "windows"}.get(sys.platform) if interview.asking else None,
            explain="sealed-file: encrypted files, for servers. secret-service: gnome-keyring or the like, unlocked. windows: the\n"
            "Credential Manager. macos: the keychain.",
        )
        try:
            if backend is KeyringBackend.SEALED_FILE:
                return _sealed_file(interview, folder, keys, password, own=own)
            settings = KeyringSettings(backend)
            if own:
                _try(interview, open_store(settings, os.environ), backend)
            else:
                interview.say("rotator: keyring: another account's cannot be tried from here: rotator doctor does")
            return Chosen(settings)
        except KeyStoreError as error:
            interview.failed(error, "--keyring")


def _sealed_file(interview: Interview, folder: Path, keys: Path, password: SecretRef | None, *, own: bool) -> Chosen:
    """Its folder and master key; what is wrong with one is asked again by itself, and both where they do not fit."""
    while True:
        path = interview.ask(
            "--keyring-path",
            "Folder of the keyring",
            lambda answer: _folder(interview, answer, own=own),
            default=str(keys),
        )
        settings = _with_master_key(interview, folder, path, password)
        try:
            return _fitting(interview, settings, own=own)
        except KeyStoreError as error:
            interview.failed(error, "--keyring-path", "--master-key")


def _folder(interview: Interview, answer: str, *, own: bool) -> Path:
    """A folder that a keyring can be made in, tried, or that holds one. Raises KeyStoreUnavailable."""
    path = values.path(answer, Path.cwd())
    fault = not_roots(path) if own else None
    if fault is not None:
        raise KeyStoreUnavailable(f"root keeps no keys in {path}, since {fault.message}", hint=NOT_ROOTS)
    if not (own and is_made(path)):
        _try_beside(interview, path, own=own)
    return path


def _with_master_key(interview: Interview, folder: Path, path: Path, password: SecretRef | None) -> KeyringSettings:
    reference = interview.ask(
        "--master-key",
        "Master key",
        lambda answer: _reference(answer, path, password),
        default=f"file:{folder / 'master.key'}" if interview.asking else None,
        explain="What opens the keyring, 32 bytes: file:PATH (made now, where there is no such file, for its owner alone), or\n"
        f"credential:NAME (a systemd credential, e.g. credential:{USUAL_CREDENTIAL}).",
    )
    return KeyringSettings(KeyringBackend.SEALED_FILE, path, reference)


def _reference(answer: str, path: Path, password: SecretRef | None) -> SecretRef:
    """Where the master key is, and one where it must be there already. Raises Wrong, KeyStoreError, SecretUnavailable."""
    master = values.master_key(answer, Path.cwd())
    if _to_be_made(master):
        return master
    try:
        read_master_key(master, os.environ, path)
    except SecretUnavailable as error:
        if master.kind is not SecretKind.CREDENTIAL:
            raise
        # It exists in the service alone, or is yet to be made.
        if password is not None and password.kind is SecretKind.KEYRING:
            raise KeyStoreUnavailable(
                f"{password} cannot be stored in a keyring that is opened by {master}: {error.message}",
                hint="give the master key as file:PATH, or keep the password in file:PATH or credential:NAME",
            ) from None
    return master


def _to_be_made(master: SecretRef) -> bool:
    return master.kind is SecretKind.FILE and not Path(master.name).exists()


def _fitting(interview: Interview, settings: KeyringSettings, *, own: bool) -> Chosen:
    """The master key made where it is not there; where there is a keyring, it opens it. Raises KeyStoreError."""
    path, master = settings.path, settings.master_key
    assert path is not None  # noqa: S101 - just asked for
    assert master is not None  # noqa: S101 - as above
    there = is_made(path)
    if _to_be_made(master):
        if there:
            raise KeyStoreUnavailable(
                f"{path} holds a keyring already, and {master.name} is not there to open it",
                hint="name the master key that it was made with, or another folder",
            )
        return Chosen(settings, sealing.as_file(sealing.new_master_key()))
    if there and own:
        try:
            store = open_store(settings, os.environ)
        except SecretUnavailable:  # a credential of the service
            _try_beside(interview, path, own=own)
            return Chosen(settings)
        _try(interview, store, KeyringBackend.SEALED_FILE)
    return Chosen(settings)


def _try_beside(interview: Interview, path: Path, *, own: bool) -> None:
    """A keyring of a moment beside the folder that is to be made, so that nothing is there before everything is right.

    For another account it is made in a folder for temporary files: in that account's folders root could be led astray.
    """
    there = existing(path) if own else None
    try:
        with tempfile.TemporaryDirectory(prefix=".rotator-init-", dir=there) as scratch:
            _try(
                interview,
                SealedFiles(Path(scratch) / "keys", sealing.new_master_key()),
                KeyringBackend.SEALED_FILE,
            )
    except OSError as error:
        raise KeyStoreUnavailable(
            f"the keyring in {path} cannot be made: {error.strerror}",
            hint="name a folder that this account may write to",
        ) from None


def _try(interview: Interview, store: SecretStore, backend: KeyringBackend) -> None:
    finding = diagnosis.keyring(store, backend)
    if finding.health is Health.FAILED:
        raise KeyStoreUnavailable(finding.message, hint=finding.hint)
    interview.say(f"rotator: keyring: {finding.message}")


def secret(settings: KeyringSettings, reference: SecretRef, text: str) -> Secret:
    """The item that `keyring:NAME` is."""
    made = settings.path if settings.path is not None and not settings.path.exists() else None
    return Secret(item(reference.name), text, lambda: open_store(settings, os.environ), made)
