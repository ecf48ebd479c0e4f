"""The sealed-file store, read by its documented layout, by code that is none of rotator's."""

import base64
import hashlib
import json
import struct
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


FORMAT: Final = b"rotator-sealed-2"
SALT, NONCE = 32, 12


class Damaged(Exception):
    """Something in the keyring that cannot be read."""


class SealedFolder:
    """The items of a sealed-file keyring, read by its documented layout: magic, salt, nonce, sealed text."""

    def __init__(self, folder: Path, master: bytes) -> None:
        self._folder = folder
        self._master = master
        header = self._file("store.json")
        try:
            self._store = str(json.loads(header)["id"]) if header is not None else None
        except (ValueError, KeyError) as error:
            raise Damaged(f"store.json: {error}") from error

    def _file(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def get(self, name: str) -> str | None:
        """The text of an item, None where there is none. Raises Damaged."""
        digest = hashlib.sha256(b"rotator\0" + name.encode()).digest()
        stem = base64.b32encode(digest).decode().rstrip("=").lower()
        data = self._file(f"{stem}.sealed")
        if data is None or self._store is None:
            return None
        magic, data = data[: len(FORMAT) + 1], data[len(FORMAT) + 1 :]
        salt, nonce, sealed = data[:SALT], data[SALT : SALT + NONCE], data[SALT + NONCE :]
        subkey = HKDF(hashes.SHA256(), 32, salt, FORMAT).derive(self._master)
        parts = (FORMAT, self._store.encode(), b"item", stem.encode())
        associated = b"".join(struct.pack(">Q", len(part)) + part for part in parts)
        if magic != FORMAT + b"\n":
            raise Damaged(f"the item {name} is no sealed item")
        try:
            return AESGCM(subkey).decrypt(nonce, sealed, associated).decode()
        except (InvalidTag, ValueError) as error:
            raise Damaged(f"the item {name} does not open: {type(error).__name__}") from error
