"""A keyring in memory that can refuse, hang, lie, and forget."""

import base64
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from rotator.errors import KeyStoreUnavailable
from worlds.effects import CRASH_AFTER, GARBLED, LATE, LOST, VANISH, Effects


if TYPE_CHECKING:
    from collections.abc import Callable

KEY = "/key/"
INDEX = "/index"


class MemoryKeyring:
    """Implements ports.SecretStore. `effects` are those of the run that uses it; `stored` is told of each item."""

    def __init__(self) -> None:
        self.items: dict[str, str] = {}
        self.effects = Effects()
        self.stored: Callable[[str, str], None] = lambda _name, _text: None
        self._vanishing: dict[str, str] | None = None
        self._under_way: list[Callable[[], object]] = []

    def reopened(self) -> "MemoryKeyring":
        return self

    def get(self, name: str) -> str | None:
        act = self.effects.strike("keyring", "get")
        self._catch_up()
        if act == CRASH_AFTER:
            self.effects.die()
        if act is not None and act not in (LATE, VANISH):
            raise KeyStoreUnavailable("the keyring is locked", hint="unlock it")
        return self.items.get(name)

    def set(self, name: str, text: str) -> None:
        def put() -> None:
            self.items[name] = text
            self.stored(name, text)

        self._write("set", put)

    def delete(self, name: str) -> None:
        self._write("delete", lambda: self.items.pop(name, None))

    def _write(self, what: str, do: "Callable[[], object]") -> None:
        act = self.effects.strike("keyring", what)
        self._catch_up()
        if act == LATE:
            return
        if act == GARBLED:
            self._under_way = [do, lambda: None]
            raise KeyStoreUnavailable("the keyring gave no answer within 10 s", hint="unlock it")
        if act == VANISH and self._vanishing is None:
            self._vanishing = dict(self.items)
        if act not in (None, VANISH, LOST, CRASH_AFTER):
            raise KeyStoreUnavailable("the keyring is locked", hint="unlock it")
        do()
        if act == CRASH_AFTER:
            self.effects.die()
        if act == LOST:
            raise KeyStoreUnavailable("the keyring gave no answer within 10 s", hint="unlock it")

    def _catch_up(self) -> None:
        if self._under_way:
            self._under_way.pop()()

    def ended(self) -> bool:
        """The process that used it is gone. Whether the keyring has forgotten something with it."""
        self._under_way = []
        if self._vanishing is None:
            return False
        self.items, self._vanishing = self._vanishing, None
        return True

    def fingerprints(self) -> frozenset[str]:
        """The private keys in it, read without any of rotator's code."""
        return frozenset(fingerprint_of(text) for name, text in self.items.items() if KEY in name)

    def private(self, fingerprint: str) -> rsa.RSAPrivateKey | None:
        """One of them."""
        return next(
            (loaded(text) for name, text in self.items.items() if KEY in name and fingerprint_of(text) == fingerprint),
            None,
        )


@lru_cache(maxsize=4096)
def loaded(item: str) -> rsa.RSAPrivateKey:
    key = serialization.load_der_private_key(base64.b64decode(item), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


@lru_cache(maxsize=4096)
def fingerprint_of(item: str) -> str:
    return spki(loaded(item).public_key())


def spki(public: rsa.RSAPublicKey) -> str:
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return sha256(der).hexdigest()
