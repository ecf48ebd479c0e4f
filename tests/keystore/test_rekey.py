"""The master key of sealed-file is changed: killed at any file operation everything opens, and the next run gets there."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from rotator.errors import KeyStoreCorrupt, KeyStoreError
from rotator.keystore import sealing
from rotator.keystore.sealed_file import SealedFiles


OLD, NEW, THIRD = bytes(range(32)), bytes(range(1, 33)), bytes(range(2, 34))
TEXTS = {"installation": "i", "a/b/index": "ring", "a/b/key/1": "k" * 2000, "secret/pw": "s3cret"}
OTHER = "another program's"

KILLED = """
import os, signal, sys
from pathlib import Path
from rotator.keystore.sealed_file import SealedFiles
folder, number = Path(sys.argv[1]), int(sys.argv[2])
store = SealedFiles(folder, bytes.fromhex(sys.argv[3]))
import filelock
done = 0
def count(event, args):
    global done
    if event in ("open", "os.rename", "os.remove", "os.listdir", "os.scandir") and str(folder) in str(args[0]):
        if done == number:
            print(event, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1
sys.addaudithook(count)
store.rekey(bytes.fromhex(sys.argv[4]))
"""


def filled(folder: Path) -> SealedFiles:
    store = SealedFiles(folder, OLD)
    for name, text in TEXTS.items():
        store.set(name, text)
    SealedFiles(folder, OLD, "other").set("item", OTHER)
    return store


def whole(folder: Path, key: bytes) -> bool:
    """Whether a key opens the store; it then opens all of it."""
    try:
        store = SealedFiles(folder, key)
    except KeyStoreError:
        return False
    assert {name: store.get(name) for name in TEXTS} == TEXTS
    assert SealedFiles(folder, key, "other").get("item") == OTHER
    return True


def opens_nothing(folder: Path, key: bytes) -> bool:
    """Whether no file of the folder, the header included, holds anything that the key opens."""
    header = json.loads((folder / "store.json").read_text())
    pieces = [path.read_bytes() for path in folder.iterdir() if ".sealed" in path.name]
    pieces += [base64.b64decode(header["check"])]
    stems = [path.name.partition(".")[0] for path in folder.iterdir()]
    abouts = [("item", stem) for stem in stems] + [("check", str(n)) for n in range(9)] + [("before", "1")]
    return not any(sealing.unseal(key, piece, header["id"], *about) is not None for piece in pieces for about in abouts)


def test_everything_opens_with_the_new_key_and_nothing_with_the_old(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    store = filled(folder)
    assert not opens_nothing(folder, OLD)
    assert store.rekey(NEW) == (len(TEXTS) + 1, True)
    assert whole(folder, NEW)
    assert not whole(folder, OLD)
    assert opens_nothing(folder, OLD)
    assert {name: store.get(name) for name in TEXTS} == TEXTS
    assert not store.unfinished
    assert not SealedFiles(folder, NEW).unfinished


def test_a_second_time_changes_nothing_and_a_third_key_follows(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    filled(folder).rekey(NEW)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert SealedFiles(folder, NEW).rekey(NEW) == (len(TEXTS) + 1, False)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    SealedFiles(folder, NEW).rekey(OLD)
    assert whole(folder, OLD)
    assert opens_nothing(folder, NEW)


def killed(folder: Path, number: int, key: bytes = OLD, new: bytes = NEW) -> str | None:
    """Change the master key and be killed before a file operation; the operation, or None where there were fewer."""
    ended = subprocess.run(
        (sys.executable, "-c", KILLED, str(folder), str(number), key.hex(), new.hex()), capture_output=True, text=True
    )
    assert ended.returncode in (0, -9), ended.stderr
    return ended.stdout.strip() or None if ended.returncode else None


@pytest.mark.parametrize("part", range(4))
def test_killed_at_any_file_operation_everything_opens_and_the_next_run_gets_there(tmp_path: Path, part: int) -> None:
    number, seen, old_alone, both, new_alone = part, set(), 0, 0, 0
    while True:
        folder = tmp_path / f"keys-{number}"
        filled(folder)
        event = killed(folder, number)
        if event is None:
            break
        seen.add(event)
        by_old, by_new = whole(folder, OLD), whole(folder, NEW)
        assert by_old or by_new, (number, event)
        old_alone, both, new_alone = old_alone + (not by_new), both + (by_old and by_new), new_alone + (not by_old)
        opened = SealedFiles(folder, OLD if by_old else NEW)
        # What is written in between is kept.
        opened.set("secret/pw", "other")
        opened.set("secret/pw", TEXTS["secret/pw"])
        # Whatever the old key still opens, there is something to be done, and it is said.
        if by_new and not opens_nothing(folder, OLD):
            assert opened.unfinished, (number, event)
        again = SealedFiles(folder, NEW if by_new else OLD)
        again.rekey(NEW)
        assert whole(folder, NEW), number
        assert opens_nothing(folder, OLD), (number, event)
        assert not SealedFiles(folder, NEW).unfinished
        number += 4
    assert number > 50
    assert {"open", "os.rename", "os.remove"} <= seen
    assert min(old_alone, both, new_alone) > 0


def test_a_change_that_was_cut_short_is_given_up_or_goes_to_another_key(tmp_path: Path) -> None:
    for number, target in ((40, OLD), (40, THIRD)):
        folder = tmp_path / f"{target[0]}"
        filled(folder)
        assert killed(folder, number)
        assert whole(folder, OLD)
        assert whole(folder, NEW)
        SealedFiles(folder, OLD).rekey(target)
        assert whole(folder, target)
        assert not whole(folder, NEW)
        assert opens_nothing(folder, NEW)


def test_what_was_deleted_meanwhile_does_not_come_back(tmp_path: Path) -> None:
    deleted = [name for name in TEXTS if name != "installation"]
    copied = 0
    for number in (30, 35, 40):
        folder = tmp_path / f"keys-{number}"
        filled(folder)
        assert killed(folder, number)
        copied = max(copied, sum(".1.sealed" in path.name for path in folder.iterdir()))
        store = SealedFiles(folder, OLD)
        for name in deleted:
            store.delete(name)
        store.rekey(NEW)
        assert [SealedFiles(folder, NEW).get(name) for name in deleted] == [None] * len(deleted)
    assert copied >= 3


def test_who_has_the_old_key_alone_never_comes_by_the_new_one(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    filled(folder)
    assert killed(folder, 40)
    header = json.loads((folder / "store.json").read_text())
    sealed = base64.b64decode(header["following"]["before"])
    assert sealing.unseal(NEW, sealed, header["id"], "before", "1") == OLD
    assert sealing.unseal(OLD, sealed, header["id"], "before", "1") is None
    following = [path for path in folder.iterdir() if re.search(r"\.1\.sealed", path.name)]
    assert following
    for path in following:
        assert sealing.unseal(OLD, path.read_bytes(), header["id"], "item", path.name.partition(".")[0]) is None


def test_a_process_with_the_old_key_notices_and_reads_nothing_stale(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    reader = filled(folder)
    SealedFiles(folder, OLD).rekey(NEW)
    for name in ("never", "secret/pw"):
        with pytest.raises(KeyStoreError, match="was changed meanwhile"):
            reader.get(name)
    with pytest.raises(KeyStoreError, match="was changed meanwhile"):
        reader.set("secret/pw", "x")
    with pytest.raises(KeyStoreError, match="does not open") as caught:
        reader.reopened()
    assert "rekey" in (caught.value.hint or "")
    assert whole(folder, NEW)


def test_a_file_that_lies_stops_it_before_the_flip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rotator.keystore.private_folder import PrivateFolder

    folder = tmp_path / "keys"
    store = filled(folder)
    honest = PrivateFolder.write

    def lying(self: PrivateFolder, name: str, data: bytes) -> None:
        honest(self, name, data[:-1] if ".1.sealed" in name else data)

    with monkeypatch.context() as patch:
        patch.setattr(PrivateFolder, "write", lying)
        with pytest.raises(KeyStoreCorrupt, match="does not give back"):
            store.rekey(NEW)
    assert whole(folder, OLD)
    SealedFiles(folder, OLD).rekey(NEW)
    assert whole(folder, NEW)


def test_a_damaged_item_stops_it_before_anything_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    store = filled(folder)
    victim = next(path for path in folder.iterdir() if path.suffix == ".sealed")
    victim.write_bytes(victim.read_bytes()[:-1])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(KeyStoreCorrupt):
        store.rekey(NEW)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


# --- stores of format 1, as earlier versions wrote them


def first_form(folder: Path, **items: str) -> None:
    folder.mkdir(mode=0o700)
    check = sealing.seal(OLD, b"", "an-id", "", "", form=1)
    told = {"format": 1, "id": "an-id", "check": base64.b64encode(check).decode()}
    (folder / "store.json").write_text(json.dumps(told))
    shape = SealedFiles(folder, OLD)
    for name, text in items.items():
        sealed = sealing.seal(OLD, text.encode(), "an-id", "service rotator", name, form=1)
        (folder / shape._file(name)).write_bytes(sealed)


def test_a_store_of_an_earlier_rotator_is_read_written_and_rekeyed(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    first_form(folder, one="1", two="2")
    store = SealedFiles(folder, OLD)
    assert store.get("one") == "1"
    assert json.loads((folder / "store.json").read_text())["format"] == 1
    store.set("one", "3")
    assert json.loads((folder / "store.json").read_text())["format"] == 2
    assert [store.get(name) for name in ("one", "two")] == ["3", "2"]
    assert [SealedFiles(folder, OLD).get(name) for name in ("one", "two")] == ["3", "2"]
    with pytest.raises(KeyStoreError, match="earlier rotator") as caught:
        store.rekey(NEW)
    assert "move the file" in (caught.value.hint or "")
    assert not store.reopened().unfinished
    store.rekey(NEW, ["two"])
    assert [SealedFiles(folder, NEW).get(name) for name in ("one", "two")] == ["3", "2"]


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    SealedFiles(tmp_path / "keys", OLD)
    header = tmp_path / "keys" / "store.json"
    header.write_text(header.read_text().replace('"format": 2', '"format": 3'))
    with pytest.raises(KeyStoreError, match="newer rotator"):
        SealedFiles(tmp_path / "keys", OLD)


def test_a_header_that_is_gone_is_not_made_anew_over_items(tmp_path: Path) -> None:
    filled(tmp_path / "keys")
    (tmp_path / "keys" / "store.json").unlink()
    with pytest.raises(KeyStoreCorrupt, match=r"store\.json is gone"):
        SealedFiles(tmp_path / "keys", OLD)
