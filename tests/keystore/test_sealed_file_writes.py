"""Writes to sealed-file: two at once, one that is killed, one without room, and one before a power cut."""

import multiprocessing
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from stand_ins import KEY

from rotator.keystore.sealed_file import SealedFiles


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
