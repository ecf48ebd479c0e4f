"""The keyring that the configuration names, opened."""

from collections.abc import Mapping

from rotator.errors import KeyStoreError
from rotator.model import KeyringBackend, KeyringSettings
from rotator.ports import SecretStore


def open_store(settings: KeyringSettings, environ: Mapping[str, str]) -> SecretStore:
    """The configured keyring. Raises KeyStoreError, SecretUnavailable, InstallationMismatch."""
    match settings.backend:
        case KeyringBackend.SEALED_FILE:
            from rotator.keystore.sealed_file import SealedFiles, master_key  # noqa: PLC0415 - only the one in use
            from rotator.keystore.secret_refs import read  # noqa: PLC0415

            if settings.path is None or settings.master_key is None:
                raise KeyStoreError("sealed-file needs `path` and `master_key` in [keyring]")
            key = master_key(read(settings.master_key, environ), str(settings.master_key))
            return SealedFiles(settings.path, key)
        case KeyringBackend.WINDOWS:
            from rotator.keystore.os_keyring import OsKeyring  # noqa: PLC0415
            from rotator.keystore.split import Split  # noqa: PLC0415

            return Split(OsKeyring(settings.backend, separate=True))
        case KeyringBackend.SECRET_SERVICE | KeyringBackend.MACOS:
            from rotator.keystore.os_keyring import OsKeyring  # noqa: PLC0415

            return OsKeyring(settings.backend)
