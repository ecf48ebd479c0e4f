"""Keys, certificates and the index as items: proven when stored, never overwritten, found again."""

from dataclasses import replace
from pathlib import Path

import pytest
from stand_ins import KEY
from values import NOW, key

from rotator.errors import (
    KeyNotFound,
    KeyStoreCorrupt,
)
from rotator.keys import PrivateKey, digest
from rotator.keystore.key_items import KeyItems
from rotator.keystore.sealed_file import SealedFiles
from rotator.model import (
    Digest,
    Fingerprint,
    KeyVersion,
    Ring,
)


PRIVATE = PrivateKey.generate(2048)


@pytest.fixture
def store(tmp_path: Path) -> SealedFiles:
    return SealedFiles(tmp_path / "keys", KEY)


@pytest.fixture
def items(store: SealedFiles) -> KeyItems:
    return KeyItems(store, "site", "portal")


def version() -> KeyVersion:
    return replace(key(), fingerprint=PRIVATE.fingerprint)


def test_a_key_is_proven_when_it_is_stored_and_never_overwritten(items: KeyItems) -> None:
    items.add_key(version(), PRIVATE)
    assert items.key(version()).fingerprint == PRIVATE.fingerprint
    with pytest.raises(KeyStoreCorrupt, match="never overwritten"):
        items.add_key(version(), PRIVATE)


def test_a_key_that_is_lost_or_another_is_told(items: KeyItems) -> None:
    with pytest.raises(KeyNotFound):
        items.key(version())
    items.add_key(version(), PRIVATE)
    with pytest.raises(KeyStoreCorrupt, match="holds the key"):
        items.key(replace(version(), fingerprint=Fingerprint("0" * 64)))


def test_certificates_are_kept_to_the_letter(items: KeyItems) -> None:
    text = "Bag Attributes: café\r\n" + PRIVATE.certificate("x", 10, NOW)
    kept = items.add_certificate(text)
    assert kept == digest(text)
    assert items.certificate(kept) == text
    with pytest.raises(KeyNotFound):
        items.certificate(Digest("0" * 64))


def test_what_is_lost_has_a_way_out_that_fits_any_item(items: KeyItems, store: SealedFiles) -> None:
    """Replacing the key would be wrong for a certificate, and for a previous key."""
    store.set(f"site/portal/key/{version().item}", "%%%")
    for lost in (
        lambda: items.key(version()),
        lambda: items.key(replace(version(), item="gone")),
        lambda: items.certificate(Digest("0" * 64)),
    ):
        with pytest.raises((KeyNotFound, KeyStoreCorrupt)) as caught:
            lost()
        assert (
            caught.value.hint == "restore the keyring from a backup; without one, rotator recover says what can be done"
        )


def test_a_lost_update_is_refused(items: KeyItems) -> None:
    first = items.save(Ring())
    items.save(first)
    with pytest.raises(KeyStoreCorrupt, match="changed meanwhile"):
        items.save(first)


def test_a_keyring_that_lies_is_caught(store: SealedFiles) -> None:
    class Liar:
        def get(self, name: str) -> str | None:
            return store.get(name)

        def set(self, name: str, text: str) -> None:
            return

        def delete(self, name: str) -> None:
            return

        def reopened(self) -> "Liar":
            return self

    liar = KeyItems(Liar(), "site", "portal")
    with pytest.raises(KeyStoreCorrupt, match="does not give back"):
        liar.add_key(version(), PRIVATE)
    with pytest.raises(KeyStoreCorrupt, match="does not give back"):
        liar.save(Ring())


def test_clear_leaves_nothing(items: KeyItems, tmp_path: Path) -> None:
    text = PRIVATE.certificate("x", 10, NOW)
    made = replace(version(), certificate=items.add_certificate(text))
    items.add_key(made, PRIVATE)
    items.save(Ring(keys=(made,)))
    items.clear()
    assert not [path for path in (tmp_path / "keys").iterdir() if path.suffix == ".sealed"]
