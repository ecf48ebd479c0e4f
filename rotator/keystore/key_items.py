"""The keys of one virtual proxy as items of a keyring: private keys, certificate texts, and the index of both."""

import base64
import binascii
from dataclasses import replace
from typing import TYPE_CHECKING

from rotator.errors import KeyMaterialError, KeyNotFound, KeyStoreCorrupt, KeyStoreError
from rotator.keystore.codec import decode, encode
from rotator.model import Digest, KeyVersion, Memory, Ring, short
from rotator.ports import SecretStore


if TYPE_CHECKING:
    from rotator.keys import PrivateKey


class KeyItems:
    """Items named `<site>/<prefix>/index`, `…/key/<version>` and `…/certificate/<digest>`.

    Keys and certificates are written once and never over one another; only the index changes. What is written is read
    back through a new connection and compared. `base` is what the names of all its items begin with.
    """

    def __init__(self, store: SecretStore, site_id: str, prefix: str) -> None:
        self._store = store
        self.base = f"{site_id}/{prefix}"
        self._index = f"{self.base}/index"

    def reopened(self) -> "KeyItems":
        """The same keys through a new connection."""
        return KeyItems(self._store.reopened(), *self.base.split("/", 1))

    def ring(self) -> Ring:
        """The stages as they are now; an empty ring of generation 0 where there is none."""
        text = self._store.get(self._index)
        return Ring() if text is None else decode(text, self._index)

    def save(self, ring: Ring) -> Ring:
        """Store the ring under the next generation. Raises KeyStoreCorrupt where somebody else did so meanwhile."""
        stored = self.ring().generation
        if stored != ring.generation:
            raise KeyStoreCorrupt(
                f"the index {self._index} changed meanwhile: generation {stored}, expected {ring.generation}",
                hint="another rotator works on the same keyring with another state directory; run rotator status",
            )
        following = replace(ring, generation=ring.generation + 1)
        self._write(self._index, encode(following))
        return following

    def add_key(self, version: KeyVersion, key: "PrivateKey") -> None:
        """Store a private key, and prove by a signature that what is read back is that key."""
        name = self.key_name(version)
        if self._store.get(name) is not None:
            raise KeyStoreCorrupt(
                f"the item {name} is there already; keys are never overwritten",
                hint="look at what is there, rotator keys list, and run it again",
            )
        self._write(name, key.to_item())
        self.reopened().prove(version)

    def prove(self, version: KeyVersion) -> None:
        """See by a signature that a private key can be used. Raises KeyNotFound, KeyStoreCorrupt."""
        key, message = self.key(version), version.item.encode("ascii")
        if not key.verify(key.sign(message), message):
            raise KeyStoreCorrupt(f"the key {short(version.fingerprint)} read back from the keyring does not sign")

    def lost(self, ring: Ring) -> dict[str, KeyStoreError]:
        """What of a ring's keys and certificates is gone or damaged, by item; each key that is there signs."""
        found: dict[str, KeyStoreError] = {}
        for version in ring.keys:
            try:
                self.prove(version)
            except (KeyNotFound, KeyStoreCorrupt) as error:
                found[self.key_name(version)] = error
            try:
                self.certificate(version.certificate)
            except (KeyNotFound, KeyStoreCorrupt) as error:
                found[self._certificate_name(version.certificate)] = error
        return found

    def key(self, version: KeyVersion) -> "PrivateKey":
        """The private key, its fingerprint checked. Raises KeyNotFound, KeyStoreCorrupt."""
        from rotator.keys import PrivateKey  # noqa: PLC0415 - cryptography, which `rotator due` does not need

        text = self._store.get(self.key_name(version))
        if text is None:
            raise KeyNotFound(f"the {version.stage} key {short(version.fingerprint)} is not in the keyring", hint=_LOST)
        try:
            key = PrivateKey.from_item(text)
        except KeyMaterialError:
            raise KeyStoreCorrupt(
                f"the {version.stage} key {short(version.fingerprint)} is damaged", hint=_LOST
            ) from None
        if key.fingerprint != version.fingerprint:
            raise KeyStoreCorrupt(f"the item {version.item} holds the key {short(key.fingerprint)}", hint=_LOST)
        return key

    def add_certificate(self, text: str) -> Digest:
        """Keep a certificate's exact text under its digest."""
        from rotator.keys import digest  # noqa: PLC0415 - as above

        name = digest(text)
        item = self._certificate_name(name)
        if self._store.get(item) is None:
            self._write(item, base64.b64encode(text.encode("utf-8")).decode("ascii"))
        return name

    def certificate(self, digest: Digest) -> str:
        """The exact text of a certificate, its digest checked. Raises KeyNotFound, KeyStoreCorrupt."""
        from rotator.keys import digest as digest_of  # noqa: PLC0415 - as above

        item = self._certificate_name(digest)
        stored = self._store.get(item)
        if stored is None:
            raise KeyNotFound(f"the certificate {short(digest)} is not in the keyring", hint=_LOST)
        try:
            text = base64.b64decode(stored, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError):
            text = ""
        if digest_of(text) != digest:
            raise KeyStoreCorrupt(f"the certificate {short(digest)} in the keyring is damaged", hint=_LOST)
        return text

    def remove(self, ring: Ring, version: KeyVersion) -> None:
        """Delete a private key for good, and its certificate's text where nothing else in `ring` names it."""
        self._store.delete(self.key_name(version))
        named = {key.certificate for key in ring.keys if key.item != version.item}
        before = ring.intent.before_certificate if ring.intent else None
        if version.certificate not in named | {before}:
            self._store.delete(self._certificate_name(version.certificate))

    def names(self, ring: Ring) -> tuple[str, ...]:
        """The items of `ring`: its keys, the certificates, and the index last."""
        texts = {key.certificate for key in ring.keys}
        if ring.intent is not None and ring.intent.before_certificate is not None:
            texts.add(ring.intent.before_certificate)
        return (*map(self.key_name, ring.keys), *map(self._certificate_name, sorted(texts)), self._index)

    def clear(self) -> None:
        """Delete every key, every certificate and the ring, the ring last: cut short, it is done again."""
        for name in self.names(self.ring()):
            self._store.delete(name)

    def memory(self) -> Memory:
        """Without a journal there is nothing to compare with."""
        return Memory.LOST

    def whole(self) -> None:
        """Without a journal there is nothing to compare with."""

    def accept(self) -> None:
        """Without a journal the keyring counts as it is."""

    def _write(self, name: str, text: str) -> None:
        self._store.set(name, text)
        if self._store.reopened().get(name) != text:
            raise KeyStoreCorrupt(
                f"the keyring does not give back the item {name} as it was stored",
                hint="see that the keyring is durable and unlocked: rotator doctor",
            )

    def key_name(self, version: KeyVersion) -> str:
        """The item of a private key."""
        return f"{self.base}/key/{version.item}"

    def _certificate_name(self, digest: Digest) -> str:
        return f"{self.base}/certificate/{digest[:32]}"


_LOST = "restore the keyring from a backup; without one, rotator recover says what can be done"
