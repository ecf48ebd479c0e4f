"""What people hand on, or paste: the certificate alone, whatever the server's text or the keyring has come to."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from values import INTENT, NOW, key, spec

from rotator.errors import KeyMaterialError, KeyNotFound, KeyStoreCorrupt
from rotator.exporting import PublicSide, public_side
from rotator.keys import PrivateKey, inspect_certificate
from rotator.keystore.key_items import KeyItems
from rotator.keystore.sealed_file import SealedFiles
from rotator.model import Digest, KeyVersion, Ring, Stage


PRIVATE, OTHER = PrivateKey.generate(2048), PrivateKey.generate(2048)
CERTIFICATE, OTHERS = (each.certificate("x", 10, NOW) for each in (PRIVATE, OTHER))


@pytest.fixture
def store(tmp_path: Path) -> SealedFiles:
    return SealedFiles(tmp_path / "keys", bytes(32))


@pytest.fixture
def items(store: SealedFiles) -> KeyItems:
    return KeyItems(store, "site", "portal")


def current(items: KeyItems, text: str) -> KeyVersion:
    """The only key, with this text of its certificate, saved as current."""
    made = replace(key(), fingerprint=PRIVATE.fingerprint, certificate=items.add_certificate(text))
    items.add_key(made, PRIVATE)
    items.save(Ring(keys=(made,)))
    return made


def exported(items: KeyItems, stage: Stage = Stage.CURRENT) -> PublicSide:
    return public_side(spec(), items, stage, NOW)


def undoing(items: KeyItems, before: PrivateKey, text: Digest) -> None:
    """A change is being undone, to the certificate in the item `text`."""
    intent = replace(INTENT, before=before.fingerprint, before_certificate=text, undoing=True)
    items.save(replace(items.ring(), intent=intent))


def test_of_what_the_server_gave_the_certificate_alone_is_exported(items: KeyItems) -> None:
    made = current(items, "\x1b]0;OWNED\x07\x1b[2J café \n" + CERTIFICATE)
    side = exported(items)
    assert (side.certificate, side.key.fingerprint, side.version) == (CERTIFICATE, PRIVATE.fingerprint, made)
    assert side.remarks == ()
    assert "café" in items.certificate(made.certificate)


@pytest.mark.parametrize("loss", ["lost", "damaged", "unreadable"])
def test_a_certificate_that_is_lost_is_made_anew_and_not_stored(items: KeyItems, store: SealedFiles, loss: str) -> None:
    made = current(items, "rubbish" if loss == "unreadable" else CERTIFICATE)
    item = f"site/portal/certificate/{made.certificate[:32]}"
    if loss == "lost":
        store.delete(item)
    elif loss == "damaged":
        store.set(item, "%%%")
    before = store.get(item)
    side = exported(items)
    info = inspect_certificate(side.certificate)
    assert info is not None
    assert info.fingerprint == side.key.fingerprint == PRIVATE.fingerprint
    assert (info.not_after - NOW).days == spec().rotation.certificate_days
    assert ["of the same key, and is stored nowhere" in remark for remark in side.remarks] == [True]
    assert store.get(item) == before


@pytest.mark.parametrize("way", ["current", "undoing"])
def test_a_certificate_that_has_ended_is_made_anew(items: KeyItems, way: str) -> None:
    """Whoever pasted the old one would lock everybody out, where the server looks at its end."""
    current(items, PRIVATE.certificate("x", 10, NOW - timedelta(days=30)))
    if way == "undoing":
        undoing(items, PRIVATE, items.ring().keys[0].certificate)
    side = exported(items)
    info = inspect_certificate(side.certificate)
    assert info is not None
    assert (info.fingerprint, info.not_after > NOW) == (PRIVATE.fingerprint, True)
    assert side.remarks[-1].startswith("the certificate has ended: this one was made just now")


def test_a_strangers_certificate_that_has_ended_is_told_as_that(items: KeyItems) -> None:
    ended = OTHER.certificate("x", 10, NOW - timedelta(days=30))
    undoing(items, OTHER, items.add_certificate(ended))
    side = exported(items)
    assert (side.certificate, side.remarks[-1]) == (ended, "the certificate has ended")


def test_a_private_key_that_is_lost_is_an_error(items: KeyItems, store: SealedFiles) -> None:
    made = current(items, CERTIFICATE)
    store.delete(f"site/portal/key/{made.item}")
    with pytest.raises(KeyNotFound):
        exported(items)


def test_while_a_change_is_undone_the_certificate_to_put_back_is_exported(items: KeyItems) -> None:
    current(items, CERTIFICATE)
    undoing(items, OTHER, items.add_certificate("Bag Attributes\n" + OTHERS))
    side = exported(items)
    assert (side.certificate, side.key.fingerprint, side.version) == (OTHERS, OTHER.fingerprint, None)
    assert ["belongs on the server" in remark for remark in side.remarks] == [True]


def test_where_no_key_is_current_the_undo_still_has_its_certificate(items: KeyItems) -> None:
    undoing(items, OTHER, items.add_certificate(OTHERS))
    assert exported(items).certificate == OTHERS
    with pytest.raises(KeyNotFound, match="no pending key"):
        exported(items, Stage.PENDING)


def test_the_way_back_of_a_held_key_is_made_anew_too(items: KeyItems) -> None:
    made = current(items, CERTIFICATE)
    undoing(items, PRIVATE, Digest("0" * 64))
    side = exported(items)
    assert (side.key.fingerprint, side.version) == (PRIVATE.fingerprint, made)
    assert len(side.remarks) == 2


def test_the_way_back_of_a_strangers_key_cannot_be_made(items: KeyItems, store: SealedFiles) -> None:
    undoing(items, OTHER, Digest("0" * 64))
    with pytest.raises(KeyNotFound):
        exported(items)
    undoing(items, OTHER, items.add_certificate("rubbish"))
    with pytest.raises(KeyMaterialError):
        exported(items)
    name = items.add_certificate(OTHERS)
    store.set(f"site/portal/certificate/{name[:32]}", "%%%")
    undoing(items, OTHER, name)
    with pytest.raises(KeyStoreCorrupt):
        exported(items)
