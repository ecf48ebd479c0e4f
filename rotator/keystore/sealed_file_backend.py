"""sealed-file as a backend of the keyring library, for other programs that are to read the same store."""

from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.compat import properties
from keyring.errors import KeyringError, PasswordDeleteError

from rotator.errors import KeyStoreError
from rotator.keystore.sealed_file import SealedFiles


class SealedFileKeyring(KeyringBackend):
    """Never chosen by itself: it needs a folder and a master key, so its priority raises without them."""

    folder: Path | None = None
    master_key: bytes = b""

    @properties.classproperty
    def priority(cls) -> float:  # noqa: N805 - keyring's own form of a class property
        """Not viable unless a program sets folder and master key."""
        if cls.folder is None:
            raise RuntimeError("sealed-file needs a folder and a master key")
        return 0.5

    def get_password(self, service: str, username: str) -> str | None:
        """The stored text, None where there is none."""
        with _Mapped():
            return self._store(service).get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        """Store a text."""
        with _Mapped():
            self._store(service).set(username, password)

    def delete_password(self, service: str, username: str) -> None:
        """Remove an item that is there."""
        with _Mapped():
            store = self._store(service)
            if store.get(username) is None:
                raise PasswordDeleteError("there is no such item")
            store.delete(username)

    def _store(self, service: str) -> SealedFiles:
        if self.folder is None:
            raise KeyStoreError("sealed-file needs a folder and a master key")
        return SealedFiles(self.folder, self.master_key, service)


class _Mapped:
    """Our errors as keyring's."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, KeyStoreError):
            raise KeyringError(error.message) from None
