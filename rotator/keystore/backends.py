"""The keyring that the configuration names, opened."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from rotator.errors import KeyStoreError, Refused, SecretUnavailable
from rotator.model import KeyringBackend, KeyringSettings, SecretKind, SecretRef
from rotator.ports import SecretStore


if TYPE_CHECKING:
    from rotator.keystore.sealed_file import SealedFiles


def keyring_name(settings: KeyringSettings) -> str:
    """Which keyring it is, in a few words."""
    return f"{settings.backend} in {settings.path}" if settings.path else str(settings.backend)


def open_store(settings: KeyringSettings, environ: Mapping[str, str]) -> SecretStore:
    """The configured keyring. Raises KeyStoreError, SecretUnavailable, InstallationMismatch."""
    match settings.backend:
        case KeyringBackend.SEALED_FILE:
            return _sealed_files(settings, settings.master_key, environ)
        case KeyringBackend.WINDOWS:
            from rotator.keystore.os_keyring import OsKeyring  # noqa: PLC0415
            from rotator.keystore.split import Split  # noqa: PLC0415

            return Split(OsKeyring(settings.backend, separate=True))
        case KeyringBackend.SECRET_SERVICE | KeyringBackend.MACOS:
            from rotator.keystore.os_keyring import OsKeyring  # noqa: PLC0415

            return OsKeyring(settings.backend)


def _sealed_files(settings: KeyringSettings, master: SecretRef | None, environ: Mapping[str, str]) -> "SealedFiles":
    from rotator.keystore.sealed_file import SealedFiles  # noqa: PLC0415 - only the backend in use

    if settings.path is None or master is None:
        raise KeyStoreError("sealed-file needs `path` and `master_key` in [keyring]")
    try:
        key = read_master_key(master, environ, settings.path)
    except (KeyStoreError, SecretUnavailable) as error:
        raise type(error)(f"keyring.master_key: {error.message}", hint=error.hint) from None
    return SealedFiles(settings.path, key)


def read_master_key(master: SecretRef, environ: Mapping[str, str], opens: Path | None = None) -> bytes:
    """The 32 bytes that a reference names; `opens`: the folder of the keyring that they may have to open.

    Raises SecretUnavailable, KeyStoreError.
    """
    from rotator.keystore.sealed_file import is_made  # noqa: PLC0415 - as above
    from rotator.keystore.sealing import master_key  # noqa: PLC0415 - as above
    from rotator.keystore.secret_refs import read  # noqa: PLC0415 - as above

    try:
        return master_key(read(master, environ), str(master))
    except (KeyStoreError, SecretUnavailable) as error:
        gone = master.kind is SecretKind.FILE and not os.path.lexists(master.name)
        if (gone or isinstance(error, KeyStoreError)) and opens is not None and is_made(opens):
            error.hint = f"restore your copy of it: no other key opens the keyring in {opens}"
        raise


def open_for_rekey(settings: KeyringSettings, new: SecretRef, environ: Mapping[str, str]) -> "SealedFiles":
    """The sealed-file keyring by its configured master key, or by `new` where an earlier change got so far already.

    Raises Refused for another backend; KeyStoreError, SecretUnavailable where neither key opens it.
    """
    if settings.backend is not KeyringBackend.SEALED_FILE or settings.master_key is None:
        raise Refused(
            f"the keyring {settings.backend} has no master key of rotator's",
            hint="only sealed-file has one; to move the keys to another keyring: rotator keys migrate --to FILE",
        )
    try:
        return _sealed_files(settings, settings.master_key, environ)
    except (KeyStoreError, SecretUnavailable) as error:
        try:
            return _sealed_files(settings, new, environ)
        except (KeyStoreError, SecretUnavailable):
            raise error from None


def unfinished(settings: KeyringSettings, store: SecretStore) -> str | None:
    """What has to be done about a change of the master key that was cut short, None where there is none."""
    if settings.backend is not KeyringBackend.SEALED_FILE:
        return None
    from rotator.keystore.sealed_file import UNFINISHED, SealedFiles  # noqa: PLC0415 - as above

    return UNFINISHED if isinstance(store, SealedFiles) and store.unfinished else None
