"""The questions about the keyring: which one, and that it stores, gives back and deletes."""

import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from rotator import diagnosis
from rotator.cli.init.interview import Interview, plain
from rotator.cli.init.writing import NOT_ROOTS, Secret, not_roots
from rotator.config import values
from rotator.config.location import existing
from rotator.config.values import Wrong
from rotator.diagnosis import Health
from rotator.errors import KeyStoreError, KeyStoreUnavailable, SecretUnavailable
from rotator.keystore import sealing
from rotator.keystore.backends import open_store, read_master_key
from rotator.keystore.sealed_file import SealedFiles
from rotator.keystore.secret_refs import item
from rotator.model import KeyringBackend, KeyringSettings, SecretKind, SecretRef
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
                chosen = _sealed_file(interview, folder, keys, own=own)
                _can_hold(chosen.settings, password)
                return chosen
            settings = KeyringSettings(backend)
            if own:
                _try(interview, open_store(settings, os.environ), backend)
            else:
                interview.say("rotator: keyring: another account's cannot be tried from here: rotator doctor does")
            return Chosen(settings)
        except KeyStoreError as error:
            interview.failed(error, "--keyring", "--keyring-path", "--master-key")


def _sealed_file(interview: Interview, folder: Path, keys: Path, *, own: bool) -> Chosen:
    path = interview.ask("--keyring-path", "Folder of the keyring", plain(values.path), default=str(keys))
    reference = interview.ask(
        "--master-key",
        "Master key",
        _reference,
        default=f"file:{folder / 'master.key'}" if interview.asking else None,
        explain="What opens the keyring, 32 bytes: file:PATH (made now, where there is no such file, for its owner alone), or\n"
        f"credential:NAME (a systemd credential, e.g. credential:{USUAL_CREDENTIAL}).",
    )
    settings = KeyringSettings(KeyringBackend.SEALED_FILE, path, reference)
    fault = not_roots(path) if own else None
    if fault is not None:
        raise KeyStoreUnavailable(f"root keeps no keys in {path}, since {fault.message}", hint=NOT_ROOTS)
    there = (path / "store.json").exists()
    if reference.kind is SecretKind.FILE and not Path(reference.name).exists():
        if there:
            raise KeyStoreUnavailable(
                f"{path} holds a keyring already, and {reference.name} is not there to open it",
                hint="name the master key that it was made with, or another folder",
            )
        _try_beside(interview, path, own=own)
        return Chosen(settings, sealing.as_file(sealing.new_master_key()))
    try:
        read_master_key(reference, os.environ)
    except SecretUnavailable as error:
        if reference.kind is not SecretKind.CREDENTIAL:
            raise KeyStoreUnavailable(error.message, hint=error.hint) from None
        # It exists in the service alone, or is yet to be made.
        _try_beside(interview, path, own=own)
        return Chosen(settings)
    if there and own:
        _try(interview, open_store(settings, os.environ), KeyringBackend.SEALED_FILE)
    else:
        _try_beside(interview, path, own=own)
    return Chosen(settings)


def _reference(answer: str) -> SecretRef:
    found = values.secret(answer, Path.cwd())
    if found.kind is SecretKind.KEYRING:
        raise Wrong("opens the keyring, and cannot be in it: file:PATH, credential:NAME or dpapi:PATH")
    return found


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


def _can_hold(settings: KeyringSettings, password: SecretRef | None) -> None:
    """See that `keyring:NAME` can be stored by this command. Raises KeyStoreUnavailable."""
    master = settings.master_key
    if password is None or password.kind is not SecretKind.KEYRING or master is None:
        return
    if master.kind is SecretKind.CREDENTIAL:
        try:
            read_master_key(master, os.environ)
        except SecretUnavailable as error:
            raise KeyStoreUnavailable(
                f"{password} cannot be stored in a keyring that is opened by {master}: {error.message}",
                hint="give the master key as file:PATH, or keep the password in file:PATH or credential:NAME",
            ) from None


def secret(settings: KeyringSettings, reference: SecretRef, text: str) -> Secret:
    """The item that `keyring:NAME` is."""
    made = settings.path if settings.path is not None and not settings.path.exists() else None
    return Secret(item(reference.name), text, lambda: open_store(settings, os.environ), made)
