"""sealed-file: what is in its folder, what opens it, and whose it must be."""

import base64
import os
import tempfile
from pathlib import Path

import pytest
from keyring.backend import get_all_keyring
from keyring.testing.backend import BackendBasicTests
from stand_ins import KEY, sealed_keyring

from rotator.errors import InstallationMismatch, KeyStoreCorrupt, KeyStoreError, KeyStoreUnavailable
from rotator.keystore.sealed_file import SealedFiles
from rotator.keystore.sealed_file_backend import SealedFileKeyring
from rotator.keystore.sealing import master_key


class TestKeyringLibrary(BackendBasicTests):
    """keyring's own tests of a backend."""

    def init_keyring(self) -> SealedFileKeyring:
        return sealed_keyring(Path(tempfile.mkdtemp(dir=os.environ["HOME"])))


def test_sealed_file_is_never_chosen_by_the_library() -> None:
    assert SealedFileKeyring not in {type(found) for found in get_all_keyring()}


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix == ".sealed")


def test_nothing_of_an_item_shows_in_its_file(tmp_path: Path) -> None:
    SealedFiles(tmp_path / "keys", KEY).set("portal", "a secret text")
    (file,) = files(tmp_path / "keys")
    assert b"secret" not in file.read_bytes()
    assert "portal" not in file.name
    assert file.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_every_changed_byte_is_noticed(tmp_path: Path) -> None:
    store = SealedFiles(tmp_path / "keys", KEY)
    store.set("item", "text")
    (file,) = files(tmp_path / "keys")
    whole = file.read_bytes()
    for index in range(len(whole)):
        file.write_bytes(whole[:index] + bytes([whole[index] ^ 1]) + whole[index + 1 :])
        if index < len(b"rotator-sealed-1\n"):
            continue  # the magic is for people; the format is in the associated data
        with pytest.raises(KeyStoreCorrupt):
            store.get("item")
    for length in range(len(whole)):
        file.write_bytes(whole[:length])
        with pytest.raises(KeyStoreCorrupt):
            store.get("item")


def test_files_that_change_places_do_not_open(tmp_path: Path) -> None:
    store = SealedFiles(tmp_path / "keys", KEY)
    store.set("a", "1")
    store.set("b", "2")
    first, second = files(tmp_path / "keys")
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    for name in ("a", "b"):
        with pytest.raises(KeyStoreCorrupt):
            store.get(name)


def test_a_file_of_another_store_does_not_open(tmp_path: Path) -> None:
    one, other = SealedFiles(tmp_path / "one", KEY), SealedFiles(tmp_path / "other", KEY)
    one.set("item", "1")
    other.set("item", "2")
    files(tmp_path / "one")[0].write_bytes(files(tmp_path / "other")[0].read_bytes())
    with pytest.raises(KeyStoreCorrupt):
        one.get("item")


def test_a_wrong_master_key_is_told_from_damage(tmp_path: Path) -> None:
    SealedFiles(tmp_path / "keys", KEY).set("item", "text")
    with pytest.raises(KeyStoreError, match="the master key does not open"):
        SealedFiles(tmp_path / "keys", bytes(32))


@pytest.mark.parametrize("data", [KEY, base64.b64encode(KEY), base64.b64encode(KEY) + b"\n"])
def test_a_master_key_is_raw_or_base64(data: bytes) -> None:
    assert master_key(data, "file:x") == KEY


@pytest.mark.parametrize(
    "data", [b"", b"short", KEY + b"\n", base64.b64encode(b"short"), b"correct horse battery staple 32!"]
)
def test_anything_else_is_no_master_key(data: bytes) -> None:
    with pytest.raises(KeyStoreError, match="file:x"):
        master_key(data, "file:x")


@pytest.mark.parametrize("header", [b"[" * 100_000, b'{"format": 2, "id": ' + b'{"a":' * 100_000, b"{}", b"[]", b""])
def test_a_header_that_is_none_is_damaged(header: bytes, tmp_path: Path) -> None:
    SealedFiles(tmp_path / "keys", KEY)
    (tmp_path / "keys" / "store.json").write_bytes(header)
    with pytest.raises(KeyStoreCorrupt, match=r"store\.json is damaged"):
        SealedFiles(tmp_path / "keys", KEY)


def test_others_may_not_look_in(tmp_path: Path) -> None:
    SealedFiles(tmp_path / "keys", KEY)
    (tmp_path / "keys").chmod(0o750)
    with pytest.raises(KeyStoreUnavailable, match="can be read by others"):
        SealedFiles(tmp_path / "keys", KEY)


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    SealedFiles(tmp_path / "keys", KEY)
    (tmp_path / "link").symlink_to(tmp_path / "keys")
    with pytest.raises(KeyStoreUnavailable, match="symbolic link"):
        SealedFiles(tmp_path / "link", KEY)


def test_another_account_is_refused_root_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SealedFiles(tmp_path / "keys", KEY)
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    with pytest.raises(InstallationMismatch) as caught:
        SealedFiles(tmp_path / "keys", KEY)
    assert "sudo -u" in (caught.value.hint or "")
