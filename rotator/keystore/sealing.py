"""Sealing with AES-256-GCM: what the files of sealed-file hold, and the header that says which key opens them. No files here.

A sealed file: magic, salt, nonce, sealed text. The subkey of each file is HKDF-SHA256 (RFC 5869) of the master key with
the file's random salt, so that no nonce is ever used twice under one key. The associated data are format, store id and
what the file is, each with its length before it: for an item that is the SHA-256 of its service and name, so that a file
that is moved, renamed or taken from another store does not open. Format 1 had service and name themselves there; such
items are read as ever, and sealed in format 2 when they are written or the master key is changed.
"""

import base64
import binascii
import json
import secrets
from dataclasses import dataclass, replace
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from rotator.errors import KeyStoreError


KEY_BYTES: Final = 32
NEWEST: Final = 2
"""The format that is written."""
_FORMATS: Final = {1: b"rotator-sealed-1", 2: b"rotator-sealed-2"}
_SALT_BYTES: Final = 32
_NONCE_BYTES: Final = 12


def master_key(data: bytes, source: str) -> bytes:
    """The 32 bytes of a master key, raw or as base64 with or without line end. Raises KeyStoreError naming `source`."""
    if len(data) == KEY_BYTES and not (data.isascii() and data.decode("ascii").isprintable()):  # a passphrase
        return data
    try:
        decoded = base64.b64decode(data.strip(), validate=True)
    except binascii.Error:
        decoded = b""
    if len(decoded) == KEY_BYTES:
        return decoded
    raise KeyStoreError(
        f"the master key in {source} is neither {KEY_BYTES} bytes nor their base64",
        hint="make one: rotator keys master-key --output FILE",
    )


def new_master_key() -> bytes:
    """A new master key."""
    return secrets.token_bytes(KEY_BYTES)


def as_file(key: bytes) -> bytes:
    """A master key as a file holds it: base64 and a line end."""
    return base64.b64encode(key) + b"\n"


def seal(key: bytes, data: bytes, *about: str, form: int = NEWEST) -> bytes:
    """`data` sealed; it opens with the same key and the same `about` alone."""
    salt, nonce = secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_NONCE_BYTES)
    sealed = _subkey(key, salt, form).encrypt(nonce, data, _associated(form, about))
    return _FORMATS[form] + b"\n" + salt + nonce + sealed


def unseal(key: bytes, sealed: bytes, *about: str, form: int = NEWEST) -> bytes | None:
    """What `seal` sealed, None where it does not open."""
    start = len(_FORMATS[form]) + 1
    salt, rest = sealed[start : start + _SALT_BYTES], sealed[start + _SALT_BYTES :]
    try:
        return _subkey(key, salt, form).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], _associated(form, about))
    except (InvalidTag, ValueError):
        return None


def form_of(sealed: bytes) -> int | None:
    """The format of a sealed file, by its magic; None where it has none."""
    return next((form for form, magic in _FORMATS.items() if sealed.startswith(magic + b"\n")), None)


def _subkey(key: bytes, salt: bytes, form: int) -> AESGCM:
    return AESGCM(HKDF(hashes.SHA256(), KEY_BYTES, salt, _FORMATS[form]).derive(key))


def _associated(form: int, about: tuple[str, ...]) -> bytes:
    parts = (_FORMATS[form], *(part.encode() for part in about))
    return b"".join(len(part).to_bytes(8) + part for part in parts)


@dataclass(frozen=True, slots=True)
class Following:
    """A master key that is about to take over: its own `check`, and the key before it, sealed under it."""

    check: bytes
    before: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """What a store says of itself.

    `epoch` counts the changes of its master key; the items are the files of that epoch alone. `check` opens with the
    master key. `following` is there while the next epoch is being written, `sweeping` while the files of earlier ones
    are being deleted.
    """

    id: str
    check: bytes
    epoch: int = 0
    following: Following | None = None
    sweeping: bool = False
    form: int = NEWEST

    @classmethod
    def new(cls, store_id: str, key: bytes, epoch: int = 0) -> "Header":
        """The header of a store that `key` opens."""
        return cls(store_id, _check(store_id, key, epoch), epoch)

    def key(self, given: bytes) -> bytes | None:
        """The key that the items of this epoch are sealed under, None where `given` opens nothing.

        While the next epoch is being written, its key opens this one too: the key before lies sealed under it, never
        the other way round, so that whoever has but the old key never comes by the new one.
        """
        about = (self.id, "", "") if self.form == 1 else (self.id, "check", str(self.epoch))
        if unseal(given, self.check, *about, form=self.form) is not None:
            return given
        if self.following is None or not self._is_next(given):
            return None
        return unseal(given, self.following.before, self.id, "before", str(self.epoch + 1))

    def _is_next(self, given: bytes) -> bool:
        assert self.following is not None  # noqa: S101 - the one caller has asked
        return unseal(given, self.following.check, self.id, "check", str(self.epoch + 1)) is not None

    def with_following(self, current: bytes, new: bytes) -> "Header":
        """The same, opened by `new` too."""
        check = _check(self.id, new, self.epoch + 1)
        before = seal(new, current, self.id, "before", str(self.epoch + 1))
        return replace(self, following=Following(check, before))

    def flipped(self, new: bytes) -> "Header":
        """The header of the next epoch: `new` is the master key, and the one before opens nothing."""
        return replace(Header.new(self.id, new, self.epoch + 1), sweeping=True)

    def encoded(self) -> bytes:
        """The header as JSON."""
        following = self.following
        told = {
            "format": self.form,
            "id": self.id,
            "check": _text(self.check),
            "epoch": self.epoch,
            "following": following and {"check": _text(following.check), "before": _text(following.before)},
            "sweeping": self.sweeping,
        }
        return json.dumps(told).encode("ascii")

    @classmethod
    def decoded(cls, data: bytes, source: str) -> "Header":
        """The header in JSON. Raises ValueError where it is damaged, KeyStoreError where it is a newer rotator's."""
        try:
            told = json.loads(data)
            form = int(told["format"])
            if form > NEWEST:
                raise KeyStoreError(f"{source} was written by a newer rotator (format {form})", hint="upgrade rotator")
            if form == 1:
                return cls(str(told["id"]), _bytes(told["check"]), form=1)
            following = told["following"]
            return cls(
                id=str(told["id"]),
                check=_bytes(told["check"]),
                epoch=int(told["epoch"]),
                following=following and Following(_bytes(following["check"]), _bytes(following["before"])),
                sweeping=bool(told["sweeping"]),
            )
        except (TypeError, KeyError, RecursionError) as error:
            raise ValueError(source) from error


def _check(store_id: str, key: bytes, epoch: int) -> bytes:
    return seal(key, b"", store_id, "check", str(epoch))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: Any) -> bytes:  # noqa: ANN401 - JSON
    return base64.b64decode(text)
