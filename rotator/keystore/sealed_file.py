"""sealed-file: a keyring for servers without a session bus. One AES-256-GCM file per item, under one master key.

Layout of an item: magic, salt, nonce, sealed text. The subkey of each file is HKDF-SHA256 (RFC 5869) of the master key
with the file's random salt, so that no nonce is ever used twice under one key. The associated data are format, store
id, service and item, each with its length before it: a file that is moved, renamed or taken from another store does
not open.
"""

import base64
import binascii
import errno
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from rotator.durable import patiently, replaced, sync_folder, sync_place
from rotator.errors import KeyStoreCorrupt, KeyStoreError, KeyStoreUnavailable
from rotator.keystore.ownership import check_private, make_private


MASTER_KEY_BYTES: Final = 32
LOCK_WAIT: Final = 10.0
"""Seconds to wait for another process that writes."""
_FORMAT: Final = b"rotator-sealed-1"
_MAGIC: Final = _FORMAT + b"\n"
_SALT_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_STORE: Final = "store.json"
_SUFFIX: Final = ".sealed"
_TEMPORARY: Final = ".new"
_CHECK_ITEM: Final = ""
_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) if sys.platform != "win32" else (errno.ENOSPC, errno.EFBIG)


def master_key(data: bytes, source: str) -> bytes:
    """The 32 bytes of a master key, raw or as base64 with or without line end. Raises KeyStoreError naming `source`."""
    if len(data) == MASTER_KEY_BYTES:
        return data
    try:
        decoded = base64.b64decode(data.strip(), validate=True)
    except binascii.Error:
        decoded = b""
    if len(decoded) == MASTER_KEY_BYTES:
        return decoded
    raise KeyStoreError(
        f"the master key in {source} is neither {MASTER_KEY_BYTES} bytes nor their base64",
        hint="make one: rotator keys master-key --output FILE",
    )


class SealedFiles:
    """A folder of sealed items, for one account alone. Reading takes no lock: a file is whole or it is not there."""

    def __init__(self, folder: Path, key: bytes, service: str = "rotator") -> None:
        self._folder = folder
        self._key = key
        self._service = service
        make_private(folder)
        check_private(folder)
        self._id = self._opened()

    def __repr__(self) -> str:
        return f"<SealedFiles {self._folder}>"

    def reopened(self) -> "SealedFiles":
        """The same folder, read anew."""
        return SealedFiles(self._folder, self._key, self._service)

    def get(self, name: str) -> str | None:
        """The text of an item, None where there is none. Raises KeyStoreCorrupt, KeyStoreUnavailable."""
        data = self._read(self._path(name))
        return None if data is None else self._unsealed(data, name).decode("utf-8")

    def set(self, name: str, text: str) -> None:
        """Store an item durably: all of it or nothing. Raises KeyStoreUnavailable."""
        with self._locked():
            self._write(self._path(name), self._sealed(text.encode("utf-8"), name))

    def delete(self, name: str) -> None:
        """Remove an item, if it is there."""
        with self._locked(), _mapped(self._folder):
            path = self._path(name)
            patiently(lambda: path.unlink(missing_ok=True))
            sync_folder(self._folder)

    def _opened(self) -> str:
        """The id of the store, made at its first use; its sealed check tells a wrong master key from a damaged item."""
        path = self._folder / _STORE
        if self._read(path) is None:
            with self._locked():
                if self._read(path) is None:
                    self._id = secrets.token_hex(16)
                    sealed = base64.b64encode(self._sealed(b"", _CHECK_ITEM)).decode("ascii")
                    header = {"format": 1, "id": self._id, "check": sealed}
                    sync_place(self._folder)
                    self._write(path, json.dumps(header).encode("ascii"))
        try:
            header = json.loads(self._read(path) or b"")
            self._id, version = str(header["id"]), int(header["format"])
            check = base64.b64decode(header["check"])
        except (ValueError, TypeError, KeyError):
            raise KeyStoreCorrupt(
                f"{path} is damaged: the items beside it cannot be opened without it", hint="restore it from a backup"
            ) from None
        if version != 1:
            raise KeyStoreError(f"{path} was written by a newer rotator (format {version})", hint="upgrade rotator")
        try:
            self._unsealed(check, _CHECK_ITEM)
        except KeyStoreCorrupt:
            raise KeyStoreError(
                f"the master key does not open the keyring in {self._folder}",
                hint="give it the master key it was made with: see master_key in [keyring]",
            ) from None
        return self._id

    def _path(self, name: str) -> Path:
        """A file name that any file system takes and that tells nothing."""
        digest = hashlib.sha256(f"{self._service}\0{name}".encode()).digest()
        return self._folder / (base64.b32encode(digest).decode("ascii").rstrip("=").lower() + _SUFFIX)

    def _associated(self, name: str) -> bytes:
        # The check is the store's, whatever service it is opened for.
        service = "" if name == _CHECK_ITEM else f"service {self._service}"
        parts = (_FORMAT, self._id.encode(), service.encode(), name.encode())
        return b"".join(len(part).to_bytes(8) + part for part in parts)

    def _subkey(self, salt: bytes) -> AESGCM:
        return AESGCM(HKDF(hashes.SHA256(), MASTER_KEY_BYTES, salt, _FORMAT).derive(self._key))

    def _sealed(self, data: bytes, name: str) -> bytes:
        salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
        return _MAGIC + salt + nonce + self._subkey(salt).encrypt(nonce, data, self._associated(name))

    def _unsealed(self, data: bytes, name: str) -> bytes:
        start = len(_MAGIC)
        salt, nonce = data[start : start + _SALT_BYTES], data[start + _SALT_BYTES : start + _SALT_BYTES + _NONCE_BYTES]
        sealed = data[start + _SALT_BYTES + _NONCE_BYTES :]
        try:
            return self._subkey(salt).decrypt(nonce, sealed, self._associated(name))
        except (InvalidTag, ValueError):
            raise KeyStoreCorrupt(
                f"the item {name} in {self._folder} is damaged or does not belong there",
                hint=f"restore {self._path(name).name} from a backup of this folder",
            ) from None

    def _read(self, path: Path) -> bytes | None:
        with _mapped(self._folder):
            try:
                flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
                descriptor = patiently(lambda: os.open(path, flags))
            except FileNotFoundError:
                return None
            with os.fdopen(descriptor, "rb") as file:
                return file.read()

    def _write(self, path: Path, data: bytes) -> None:
        """Temporary file, sync, rename, sync of the folder: after a power cut the item is the old one or the new one."""
        temporary = path.with_name(path.name + _TEMPORARY)
        with _mapped(self._folder):
            try:
                temporary.unlink(missing_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
                with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                replaced(temporary, path)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise

    @contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock, Timeout  # noqa: PLC0415 - 55 ms, and reading needs no lock

        with _mapped(self._folder):
            lock = FileLock(self._folder / "lock", timeout=LOCK_WAIT, mode=0o600)
            try:
                lock.acquire()
            except Timeout:
                raise KeyStoreUnavailable(
                    f"another process has been writing to {self._folder} for {LOCK_WAIT:.0f} s", hint="try again"
                ) from None
        try:
            yield
        finally:
            lock.release()


@contextmanager
def _mapped(folder: Path) -> Iterator[None]:
    """What the file system refuses, as ours."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise KeyStoreUnavailable(
                f"no space is left for the keyring in {folder}", hint="nothing was overwritten; make room and try again"
            ) from None
        raise KeyStoreUnavailable(
            f"the keyring in {folder} cannot be used: {error.strerror}",
            hint="see that the folder is writable for this account and its file system not read-only",
        ) from None
