"""One contract for every keyring, and what each that is not a folder must stand besides."""

import base64
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from secret_service import SecretServiceDaemon
from stand_ins import KEY, CredentialManager, sealed_keyring

from rotator.errors import KeyStoreCorrupt, KeyStoreUnavailable
from rotator.keystore.os_keyring import OsKeyring, construct
from rotator.keystore.sealed_file import SealedFiles
from rotator.keystore.split import READS, Split
from rotator.keystore.timelimit import limited
from rotator.model import KeyringBackend
from rotator.ports import SecretStore


if TYPE_CHECKING:
    from collections.abc import Callable


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

    @pytest.mark.parametrize("then", ["b" * 2000, None])
    def test_a_reader_finds_what_was_written_while_it_read(self, then: str | None) -> None:
        """It has the head already when somebody else writes another and drops the parts, or deletes the item."""
        meanwhile = Meanwhile({})
        store = meanwhile.reader()
        meanwhile.writer.set("item", "a" * 3000)
        meanwhile.writes = [then]
        assert store.get("item") == then
        assert meanwhile.writes == []

    def test_a_reader_of_what_is_written_all_the_time_gives_up(self) -> None:
        meanwhile = Meanwhile({})
        store = meanwhile.reader()
        meanwhile.writer.set("item", "a" * 3000)
        meanwhile.writes = [f"{number}" * 2000 for number in range(READS + 1)]
        with pytest.raises(KeyStoreUnavailable, match="again and again") as caught:
            store.get("item")
        assert caught.value.hint
        assert store.get("item") == f"{READS}" * 2000

    def test_a_part_that_is_missing_for_good_is_no_writer(self) -> None:
        items: dict[tuple[str, str], str] = {}
        meanwhile = Meanwhile(items)
        meanwhile.writer.set("item", "a" * 3000)
        meanwhile.writes = ["b" * 3000]
        meanwhile.wrote = lambda: items.pop(next(pair for pair in items if pair[1].endswith("/2")))
        with pytest.raises(KeyStoreCorrupt, match="lacks 1 of its 3 parts"):
            meanwhile.reader().get("item")


class Meanwhile:
    """A Credential Manager in which somebody else writes the next of `writes` each time a head was read."""

    def __init__(self, items: dict[tuple[str, str], str]) -> None:
        self.items = items
        self.writes: list[str | None] = []
        self.wrote: Callable[[], object] = lambda: None
        self.writer = Split(OsKeyring(KeyringBackend.WINDOWS, lambda: CredentialManager(items), separate=True))

    def reader(self) -> Split:
        others = self

        class Read(CredentialManager):
            def get_password(self, service: str, username: str) -> str | None:
                text = super().get_password(service, username)
                if text is not None and "generation" in text and others.writes:
                    others.write()
                return text

        return Split(OsKeyring(KeyringBackend.WINDOWS, lambda: Read(self.items), separate=True))

    def write(self) -> None:
        text = self.writes.pop(0)
        if text is None:
            self.writer.delete("item")
        else:
            self.writer.set("item", text)
        self.wrote()


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


@pytest.mark.parametrize("backend", [KeyringBackend.WINDOWS, KeyringBackend.MACOS])
def test_a_keyring_of_another_platform_is_refused(backend: KeyringBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    with pytest.raises(KeyStoreUnavailable, match=str(backend)):
        OsKeyring(backend)


def test_a_call_that_hangs_ends_in_time() -> None:
    never = threading.Event()
    with pytest.raises(KeyStoreUnavailable, match="no answer within"):
        limited(never.wait, "waiting", limit=0.05)


def test_a_machine_without_room_for_a_thread_cannot_ask_the_keyring(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(KeyStoreUnavailable, match="no room for a thread: reading item"):
        limited(lambda: None, "reading item")


def test_what_a_keyring_says_is_not_passed_on() -> None:
    class Talkative(CredentialManager):
        def set_password(self, service: str, username: str, password: str) -> None:
            raise RuntimeError(f"cannot store {password}") from ConnectionError(f"cannot send {password}")

    store = OsKeyring(KeyringBackend.MACOS, lambda: Talkative({}))
    with pytest.raises(KeyStoreUnavailable, match=r"storing item: RuntimeError \(ConnectionError\)") as caught:
        store.set("item", "hunter2")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
