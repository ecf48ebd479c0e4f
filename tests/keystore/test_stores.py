"""One contract for every keyring, and what each of them must stand besides."""

import base64
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from keyring.backend import KeyringBackend as Backend
from keyring.testing.backend import BackendBasicTests
from secret_service import SecretServiceDaemon

from rotator.errors import InstallationMismatch, KeyStoreCorrupt, KeyStoreError, KeyStoreUnavailable
from rotator.keystore.os_keyring import OsKeyring, construct
from rotator.keystore.sealed_file import SealedFiles
from rotator.keystore.sealed_file_backend import SealedFileKeyring
from rotator.keystore.sealing import master_key
from rotator.keystore.split import Split
from rotator.keystore.timelimit import limited
from rotator.model import KeyringBackend
from rotator.ports import SecretStore


KEY = bytes(range(32))


def sealed_keyring(folder: Path) -> SealedFileKeyring:
    made = SealedFileKeyring()  # type: ignore[no-untyped-call]
    made.folder, made.master_key = folder, KEY
    return made


class CredentialManager(Backend):
    """The limits of Windows' Credential Manager: 1,280 characters an item, nothing more."""

    priority = 1
    items: dict[tuple[str, str], str]

    def __init__(self, items: dict[tuple[str, str], str]) -> None:
        self.items = items

    def get_password(self, service: str, username: str) -> str | None:
        return self.items.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if len(password.encode("utf-16-le")) > 2560:
            raise OSError(1783, "The stub received bad data")
        if any(known == service and user != username for known, user in self.items):
            raise AssertionError("two items share a service: WinVaultKeyring would move one of them")
        self.items[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.items[service, username]


class Contract:
    """What every SecretStore keeps to."""

    @pytest.fixture
    def store(self) -> SecretStore:
        raise NotImplementedError

    def test_what_was_stored_comes_back_through_a_new_connection(self, store: SecretStore) -> None:
        text = base64.b64encode(os.urandom(2400)).decode()
        store.set("site/portal/key/1", text)
        assert store.reopened().get("site/portal/key/1") == text

    def test_what_is_not_there_is_none(self, store: SecretStore) -> None:
        assert store.get("never") is None
        store.delete("never")

    def test_a_text_is_replaced_whole(self, store: SecretStore) -> None:
        store.set("item", "a" * 3000)
        store.set("item", "b")
        assert store.reopened().get("item") == "b"

    def test_items_do_not_touch_each_other(self, store: SecretStore) -> None:
        store.set("a", "1")
        store.set("a/b", "2")
        store.set("å ß", "3")
        store.delete("a")
        assert [store.get(name) for name in ("a", "a/b", "å ß")] == [None, "2", "3"]


class TestSealedFile(Contract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> SecretStore:
        return SealedFiles(tmp_path / "keys", KEY)


class TestWindowsStandIn(Contract):
    @pytest.fixture
    def store(self) -> SecretStore:
        items: dict[tuple[str, str], str] = {}
        return Split(OsKeyring(KeyringBackend.WINDOWS, lambda: CredentialManager(items), separate=True))

    def test_an_interrupted_write_leaves_the_old_text(self) -> None:
        items: dict[tuple[str, str], str] = {}
        store = Split(OsKeyring(KeyringBackend.WINDOWS, lambda: CredentialManager(items), separate=True))
        store.set("item", "a" * 3000)
        full = dict(items)
        for keep in range(5):
            items.clear()
            items.update(full)
            left = keep

            class Broken(CredentialManager):
                def set_password(self, service: str, username: str, password: str) -> None:
                    nonlocal left
                    if left == 0:
                        raise OSError("power is gone")
                    left -= 1
                    super().set_password(service, username, password)

            broken = Split(OsKeyring(KeyringBackend.WINDOWS, lambda: Broken(items), separate=True))
            try:
                broken.set("item", "b" * 3000)
            except KeyStoreUnavailable:
                assert store.get("item") == "a" * 3000
            else:
                assert store.get("item") == "b" * 3000

    def test_a_missing_part_is_noticed(self) -> None:
        items: dict[tuple[str, str], str] = {}
        store = Split(OsKeyring(KeyringBackend.WINDOWS, lambda: CredentialManager(items), separate=True))
        store.set("item", "a" * 3000)
        del items[next(pair for pair in items if pair[1].endswith("/1"))]
        with pytest.raises(KeyStoreCorrupt, match="lacks 1 of its 3 parts"):
            store.get("item")


class TestMacosStandIn(Contract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> SecretStore:
        return OsKeyring(KeyringBackend.MACOS, lambda: sealed_keyring(tmp_path / "keys"))


class TestSecretService(Contract):
    @pytest.fixture
    def store(self, secret_service: SecretServiceDaemon) -> SecretStore:
        return OsKeyring(KeyringBackend.SECRET_SERVICE)

    def test_it_survives_a_restart_of_the_daemon(
        self, secret_service: SecretServiceDaemon, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        OsKeyring(KeyringBackend.SECRET_SERVICE).set("item", "kept")
        secret_service.restart()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", secret_service.address)
        assert OsKeyring(KeyringBackend.SECRET_SERVICE).get("item") == "kept"

    def test_a_locked_one_says_so_in_time(
        self, secret_service: SecretServiceDaemon, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        OsKeyring(KeyringBackend.SECRET_SERVICE).set("item", "kept")
        secret_service.restart(unlock=False)
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", secret_service.address)
        with pytest.raises(KeyStoreUnavailable) as caught:
            OsKeyring(KeyringBackend.SECRET_SERVICE, limit=5).get("item")
        assert caught.value.hint

    def test_the_environment_does_not_choose_where_keys_are_kept(
        self, secret_service: SecretServiceDaemon, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("KEYRING_PROPERTY_PREFERRED_COLLECTION", "/org/freedesktop/secrets/collection/session")
        monkeypatch.setenv("KEYRING_PROPERTY_SCHEME", "KeePassXC")
        assert vars(construct(KeyringBackend.SECRET_SERVICE)) == {}

    def test_without_a_bus_it_says_so(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
        with pytest.raises(KeyStoreUnavailable, match="secret-service"):
            OsKeyring(KeyringBackend.SECRET_SERVICE)


class TestKeyringLibrary(BackendBasicTests):
    """keyring's own tests of a backend."""

    def init_keyring(self) -> SealedFileKeyring:
        return sealed_keyring(Path(tempfile.mkdtemp(dir=os.environ["HOME"])))


def test_sealed_file_is_never_chosen_by_the_library() -> None:
    assert SealedFileKeyring not in {type(found) for found in _viable()}


def _viable() -> list[Backend]:
    from keyring.backend import get_all_keyring

    return list(get_all_keyring())


@pytest.mark.parametrize("backend", [KeyringBackend.WINDOWS, KeyringBackend.MACOS])
def test_a_keyring_of_another_platform_is_refused(backend: KeyringBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    with pytest.raises(KeyStoreUnavailable, match=str(backend)):
        OsKeyring(backend)


# --- sealed-file


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


def _write_many(folder: Path, prefix: str) -> None:
    store = SealedFiles(folder, KEY)
    for number in range(100):
        store.set(f"{prefix}{number}", str(number))


def test_two_processes_that_write_lose_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    SealedFiles(folder, KEY)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(folder, prefix)) for prefix in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    store = SealedFiles(folder, KEY)
    assert all(store.get(f"{prefix}{number}") == str(number) for prefix in "ab" for number in range(100))


WRITER = """
import sys
from pathlib import Path
from rotator.keystore.sealed_file import SealedFiles
store = SealedFiles(Path(sys.argv[1]), bytes(range(32)))
number = 0
while True:
    store.set("item", str(number) * 500)
    print(number, flush=True)
    number += 1
"""


def test_a_killed_writer_leaves_the_old_text_or_the_new(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    for wait in (1, 2, 5, 9, 14):
        with subprocess.Popen((sys.executable, "-c", WRITER, str(folder)), stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            for _ in range(wait):
                last = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            last = max([last, *(int(line) for line in writer.stdout.read().split())])
        text = SealedFiles(folder, KEY).get("item")
        assert text in {str(number) * 500 for number in (last, last + 1)}


def test_a_full_disk_leaves_the_old_text(tmp_path: Path) -> None:
    """A limit on the size of files is what a full disk is to a writer: the write fails in its middle."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from rotator.keystore.sealed_file import SealedFiles\n"
        "store = SealedFiles(Path(sys.argv[1]), bytes(range(32))); store.set('item', 'old')\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (600, 600))\n"
        "try: store.set('item', 'new' * 1000)\n"
        "except Exception as error: print(type(error).__name__, error.message, store.get('item'))\n"
    )
    ended = subprocess.run(
        (sys.executable, "-c", code, str(tmp_path / "keys")), capture_output=True, text=True, check=True
    )
    assert ended.stdout.startswith("KeyStoreUnavailable no space is left")
    assert ended.stdout.split()[-1] == "old"
    assert not [path for path in (tmp_path / "keys").iterdir() if path.suffix == ".new"]


def test_an_item_is_synced_before_it_gets_its_name_and_its_folder_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In any other order a power cut leaves a name without its content, or the old content under the new name."""
    store = SealedFiles(tmp_path / "keys", KEY)
    done: list[str] = []
    sync, rename = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        sync(descriptor)

    def renamed(source: Path, target: Path) -> None:
        done.append("name")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    store.set("item", "text")
    assert done == ["file", "name", "folder"]
    store.delete("item")
    assert done[3:] == ["folder"]


def test_a_call_that_hangs_ends_in_time() -> None:
    never = threading.Event()
    with pytest.raises(KeyStoreUnavailable, match="no answer within"):
        limited(never.wait, "waiting", limit=0.05)


def test_what_a_keyring_says_is_not_passed_on() -> None:
    class Talkative(CredentialManager):
        def set_password(self, service: str, username: str, password: str) -> None:
            raise RuntimeError(f"cannot store {password}")

    store = OsKeyring(KeyringBackend.MACOS, lambda: Talkative({}))
    with pytest.raises(KeyStoreUnavailable) as caught:
        store.set("item", "hunter2")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
