"""Keys, certificates and the index as items: proven when stored, never overwritten, found again."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from values import NOW, key, ring

from rotator.errors import (
    ConfigError,
    InstallationMismatch,
    KeyNotFound,
    KeyStoreCorrupt,
    KeyStoreError,
    LockHeld,
    SecretUnavailable,
)
from rotator.keys import PrivateKey, digest, inspect_certificate
from rotator.keystore import registry
from rotator.keystore.codec import decode, encode
from rotator.keystore.key_items import KeyItems
from rotator.keystore.sealed_file import SealedFiles
from rotator.keystore.secret_refs import read_text
from rotator.model import (
    Baseline,
    Delivery,
    Digest,
    Fingerprint,
    Intent,
    IntentKind,
    KeyVersion,
    Ring,
    SecretKind,
    SecretRef,
    Stage,
)
from rotator.state import directory, lock


PRIVATE = PrivateKey.generate(2048)


@pytest.fixture
def store(tmp_path: Path) -> SealedFiles:
    return SealedFiles(tmp_path / "keys", bytes(range(32)))


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
    items.save(ring_of(made))
    items.clear()
    assert not [path for path in (tmp_path / "keys").iterdir() if path.suffix == ".sealed"]


def ring_of(made: KeyVersion) -> Ring:
    return Ring(keys=(made,))


TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
VERSIONS = st.builds(
    KeyVersion,
    st.text("ab-", min_size=1),
    HEX.map(Fingerprint),
    st.text(max_size=9),
    st.integers(2048, 4096),
    st.sampled_from(Stage),
    TIMES,
    TIMES,
    HEX.map(Digest),
    TIMES,
    st.booleans(),
)
RINGS = st.builds(
    Ring,
    st.integers(0, 9),
    st.none() | st.text(max_size=9),
    st.lists(VERSIONS, max_size=4).map(tuple),
    st.none()
    | st.builds(
        Intent,
        HEX,
        st.sampled_from(IntentKind),
        TIMES,
        st.none() | HEX.map(Fingerprint),
        st.none() | HEX.map(Digest),
        HEX.map(Fingerprint),
        st.booleans(),
    ),
    st.none() | st.builds(Delivery, HEX, HEX.map(Fingerprint), TIMES, st.integers(0, 9)),
    st.none() | st.builds(Baseline, st.frozensets(HEX), st.frozensets(HEX), st.frozensets(HEX)),
)


@given(RINGS)
def test_a_ring_survives_its_text(made: Ring) -> None:
    text = encode(made)
    assert "\n" not in text
    assert decode(text, "index") == made


@given(RINGS, st.data())
def test_a_damaged_ring_is_refused_and_nothing_else_happens(made: Ring, data: st.DataObject) -> None:
    text = encode(made)
    start = data.draw(st.integers(0, len(text) - 1))
    cut = text[:start] + text[start + data.draw(st.integers(1, 40)) :]
    try:
        decode(cut, "index")
    except KeyStoreError as error:
        assert "index" in error.message


def test_a_newer_ring_is_refused() -> None:
    with pytest.raises(KeyStoreError, match="newer rotator"):
        decode(encode(Ring()).replace('"v":2', '"v":3'), "index")


# --- whose keyring it is, and its sites


def test_a_site_is_found_by_its_name_or_its_address(store: SealedFiles) -> None:
    first = registry.Registry("i").with_site("prod", "https://qlik:4242")
    registry.write(store, first)
    found = registry.read(store)
    assert found == first
    assert found is not None
    entry = first.sites[0]
    assert found.find("renamed", "https://QLIK:4242") == entry
    assert found.find("prod", "https://elsewhere") == entry
    assert found.find("other", "https://elsewhere") is None
    renamed = found.with_site("renamed", "https://qlik:4242")
    assert [(site.id, site.name) for site in renamed.sites] == [(entry.id, "renamed")]


def test_half_is_enough_and_two_wholes_must_agree(tmp_path: Path) -> None:
    assert directory.agreed(None, None, tmp_path) is None
    assert (
        directory.agreed("a", None, tmp_path)
        == directory.agreed(None, "a", tmp_path)
        == directory.agreed("a", "a", tmp_path)
        == "a"
    )
    with pytest.raises(InstallationMismatch) as caught:
        directory.agreed("a", "b", tmp_path)
    assert caught.value.exit_status == 78


def test_a_lock_names_its_owner(tmp_path: Path) -> None:
    with (
        lock.held(tmp_path, "site x", "rotate", NOW),
        pytest.raises(LockHeld, match=r"rotate of .* since 2026-11-24 12:00:00 UTC"),
    ):
        with lock.held(tmp_path, "site x", "verify", NOW):
            raise AssertionError
    with lock.held(tmp_path, "site x", "verify", NOW):
        pass


def test_a_state_directory_that_others_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="can be changed by others"):
        directory.prepare(tmp_path)


# --- secrets that the configuration refers to


def test_secrets_come_from_where_they_are_said_to_be(tmp_path: Path, store: SealedFiles) -> None:
    (tmp_path / "pw").write_text("s3cret\n")
    (tmp_path / "pw").chmod(0o600)
    store.set("secret/pw", "s3cret")
    for reference, environ in (
        (SecretRef(SecretKind.FILE, str(tmp_path / "pw")), {}),
        (SecretRef(SecretKind.CREDENTIAL, "pw"), {"CREDENTIALS_DIRECTORY": str(tmp_path)}),
        (SecretRef(SecretKind.KEYRING, "pw"), {}),
    ):
        assert read_text(reference, environ, store) == "s3cret"


def test_secrets_that_are_not_to_be_had(tmp_path: Path, store: SealedFiles) -> None:
    open_to_all = tmp_path / "pw"
    open_to_all.write_text("s3cret")
    open_to_all.chmod(0o644)
    for reference, said in (
        (SecretRef(SecretKind.FILE, str(open_to_all)), "can be read by others"),
        (SecretRef(SecretKind.FILE, str(tmp_path / "none")), "No such file"),
        (SecretRef(SecretKind.CREDENTIAL, "pw"), "CREDENTIALS_DIRECTORY is not set"),
        (SecretRef(SecretKind.KEYRING, "pw"), "no such secret"),
    ):
        with pytest.raises(SecretUnavailable, match=said) as caught:
            read_text(reference, {}, store)
        assert "s3cret" not in str(caught.value)


# --- keys


def test_a_certificate_is_what_qlik_takes(tmp_path: Path) -> None:
    del tmp_path
    text = PRIVATE.certificate("rotator portal", 1825, NOW)
    assert text.startswith("-----BEGIN CERTIFICATE-----\n")
    assert text.endswith("-----END CERTIFICATE-----\n")
    info = inspect_certificate(text)
    assert info is not None
    assert info.fingerprint == PRIVATE.fingerprint
    assert (NOW - info.not_before).total_seconds() == 3600
    assert (info.not_after - NOW).days == 1825


@pytest.mark.parametrize(
    "wrap",
    [
        lambda text: "Bag Attributes\n" + text,
        lambda text: text.replace("\n", " "),
        lambda text: text.replace("\n", "\r\n"),
    ],
)
def test_certificates_are_read_as_tools_paste_them(wrap: object) -> None:
    assert callable(wrap)
    info = inspect_certificate(wrap(PRIVATE.certificate("x", 10, NOW)))
    assert info is not None
    assert info.fingerprint == PRIVATE.fingerprint


def test_a_key_shows_nothing_of_itself() -> None:
    import pickle

    assert PRIVATE.fingerprint[:12] in repr(PRIVATE)
    assert len(repr(PRIVATE)) < 40
    with pytest.raises(TypeError):
        pickle.dumps(PRIVATE)


def test_keys_survive_their_items() -> None:
    assert "\n" not in PRIVATE.to_item()
    assert PrivateKey.from_item(PRIVATE.to_item()).fingerprint == PRIVATE.fingerprint
    assert PrivateKey.from_file_bytes(PRIVATE.to_pem()).kid == PRIVATE.kid


def test_rings_of_values_are_rings() -> None:
    assert ring(key()).at(Stage.CURRENT) == key()
