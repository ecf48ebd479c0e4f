"""sealed-file: a keyring for servers without a session bus. One AES-256-GCM file per item, under one master key.

`store.json` is the header: the id of the store, its epoch, and a check that opens with the master key. Each item is a
file of the header's epoch, sealed as `sealing` tells. The master key is changed in three writes of the header:

1. `following`: the new key opens the store too. Every item is then sealed anew beside the old one, as a file of the next
   epoch, which nobody reads yet, and read back.
2. The flip: the epoch counts on. From here on the new key opens everything, and the old one nothing.
3. `sweeping` ends: the files of the epoch before are deleted.

Killed before the flip, everything is as it was, and both keys open it; killed after it, the new key opens everything. In
both cases the next `rotator keys rekey` goes on, and every command says so. An item is believed only if the header is
still of the epoch that was opened, so that a process with the old key notices, and never reads what is out of date.
"""

import base64
import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from rotator.durable import sync_place
from rotator.errors import KeyStoreCorrupt, KeyStoreError
from rotator.keystore import sealing
from rotator.keystore.private_folder import PrivateFolder
from rotator.keystore.sealing import Header


UNFINISHED: Final = "the change of the master key is not finished: run rotator keys rekey again, with the same new key"
_HEADER: Final = "store.json"
_SUFFIX: Final = ".sealed"


def is_made(folder: Path) -> bool:
    """Whether there is such a keyring in the folder; no also where this account may not look."""
    return os.path.lexists(folder / _HEADER)


class Rekeyed(NamedTuple):
    """How many items are sealed under the new master key, and whether anything had to be done for it."""

    items: int
    changed: bool


class SealedFiles:
    """A folder of sealed items, for one account alone. Reading takes no lock: a file is whole or it is not there."""

    def __init__(self, folder: Path, key: bytes, service: str = "rotator") -> None:
        self._given = key
        self._service = service
        self._folder = PrivateFolder(folder)
        self._header = self._opened()
        self._key = self._key_of(self._header)

    def __repr__(self) -> str:
        return f"<SealedFiles {self._folder.path}>"

    @property
    def unfinished(self) -> bool:
        """Whether a change of the master key was cut short."""
        return self._header.following is not None or self._header.sweeping

    def reopened(self) -> "SealedFiles":
        """The same folder, read anew."""
        return SealedFiles(self._folder.path, self._given, self._service)

    def get(self, name: str) -> str | None:
        """The text of an item, None where there is none. Raises KeyStoreError, KeyStoreCorrupt, KeyStoreUnavailable."""
        file = self._file(name)
        data = self._folder.read(file)
        self._check_epoch()
        return None if data is None else self._unsealed(data, file, name).decode("utf-8")

    def set(self, name: str, text: str) -> None:
        """Store an item durably: all of it or nothing. Raises KeyStoreError, KeyStoreUnavailable."""
        with self._folder.locked():
            self._in_newest_form()
            self._folder.write(self._file(name), self._sealed(text.encode("utf-8"), self._file(name), self._key))

    def delete(self, name: str) -> None:
        """Remove an item, if it is there."""
        with self._folder.locked():
            self._check_epoch()
            self._folder.remove([self._file(name)])

    def rekey(self, new: bytes, names: Iterable[str] = ()) -> Rekeyed:
        """Make `new` the master key; what an earlier change left is finished with it.

        `names` are those of items that may be sealed in format 1, which cannot be opened without its name. Where there
        is such an item whose name is not among them, KeyStoreError is raised before anything is written.
        """
        known = {self._stem(name): name for name in names}
        with self._folder.locked():
            header = self._in_newest_form()
            changed = header.key(new) != new or header.following is not None or header.sweeping
            if header.key(new) != new:
                self._follow(header, new, known)
                header = header.flipped(new)
                self._save(header)
            self._sweep(header)
        self._given, self._header, self._key = new, self._stored(), new
        return Rekeyed(len(self._of_epoch(header.epoch)), changed)

    def _follow(self, header: Header, new: bytes, known: dict[str, str]) -> None:
        """Every item as a file of the next epoch too, sealed under `new` and read back."""
        texts = {file: self._folder.read(file) or b"" for file in self._of_epoch(header.epoch)}
        opened = {}
        for file, data in texts.items():
            stem = file.partition(".")[0]
            if sealing.form_of(data) == 1 and stem not in known:
                raise KeyStoreError(
                    f"{self._folder.path / file} was written by an earlier rotator and is named by nothing in the "
                    "configuration, so that it cannot be sealed anew",
                    hint="it is of a virtual proxy that has no table any more, or was left by a run that was killed: put "
                    "its [proxy.NAME] back, or move the file to another folder",
                )
            opened[stem] = self._unsealed(data, file, known.get(stem, stem))
        self._save(header.with_following(self._key, new))
        self._folder.remove(self._of_epoch(header.epoch + 1))
        for stem, data in opened.items():
            file = _named(stem, header.epoch + 1)
            self._folder.write(file, self._sealed(data, file, new))
            if sealing.unseal(new, self._folder.read(file) or b"", header.id, "item", stem) != data:
                raise KeyStoreCorrupt(
                    f"{self._folder.path / file} does not give back what was written to it",
                    hint="nothing was lost, and the old master key opens everything; see the file system, then try again",
                )

    def _sweep(self, header: Header) -> None:
        """Delete what is of no use any more: files of other epochs, and what writes that were killed left."""
        kept = {*self._of_epoch(header.epoch), _HEADER, "lock"}
        self._folder.remove(name for name in self._folder.names() if _SUFFIX in name and name not in kept)
        if header.following is not None or header.sweeping:
            self._save(Header(header.id, header.check, header.epoch))

    def _opened(self) -> Header:
        """The header, made at the first use of the folder. Raises KeyStoreCorrupt."""
        if self._folder.read(_HEADER) is None:
            with self._folder.locked():
                if self._folder.read(_HEADER) is None:
                    self._check_empty()
                    sync_place(self._folder.path)
                    self._save(Header.new(secrets.token_hex(16), self._given))
        return self._stored()

    def _check_empty(self) -> None:
        if any(name.endswith(_SUFFIX) for name in self._folder.names()):
            raise KeyStoreCorrupt(
                f"{self._folder.path / _HEADER} is gone: the items beside it cannot be opened without it",
                hint="restore it from a backup",
            )

    def _stored(self) -> Header:
        path = self._folder.path / _HEADER
        try:
            return Header.decoded(self._folder.read(_HEADER) or b"", str(path))
        except ValueError:
            raise KeyStoreCorrupt(
                f"{path} is damaged: the items beside it cannot be opened without it", hint="restore it from a backup"
            ) from None

    def _save(self, header: Header) -> None:
        self._folder.write(_HEADER, header.encoded())

    def _key_of(self, header: Header) -> bytes:
        """The key that the items are sealed under. Raises KeyStoreError where the given one does not lead to it."""
        key = header.key(self._given)
        if key is not None:
            return key
        raise KeyStoreError(
            f"the master key does not open the keyring in {self._folder.path}",
            hint="its master key was changed by rotator keys rekey: name the new one, master_key in [keyring]"
            if header.epoch
            else "give it the master key it was made with: see master_key in [keyring]",
        )

    def _in_newest_form(self) -> Header:
        """The header, so written that an older rotator does not take what is going to be written for damaged."""
        header = self._check_epoch()
        if header.form != sealing.NEWEST:
            header = Header.new(header.id, self._key, header.epoch)
            self._save(header)
        return header

    def _check_epoch(self) -> Header:
        """The header as it is now. Raises KeyStoreError where the master key was changed since this store was opened."""
        header = self._stored()
        if (header.id, header.epoch) != (self._header.id, self._header.epoch):
            raise KeyStoreError(
                f"the master key of the keyring in {self._folder.path} was changed meanwhile",
                hint="name the new one, master_key in [keyring], and run it again",
            )
        return header

    def _stem(self, name: str) -> str:
        """The beginning of a file's name: any file system takes it, and it tells nothing."""
        digest = hashlib.sha256(f"{self._service}\0{name}".encode()).digest()
        return base64.b32encode(digest).decode("ascii").rstrip("=").lower()

    def _file(self, name: str) -> str:
        return _named(self._stem(name), self._header.epoch)

    def _of_epoch(self, epoch: int) -> list[str]:
        return [name for name in self._folder.names() if _epoch(name) == epoch]

    def _sealed(self, data: bytes, file: str, key: bytes) -> bytes:
        return sealing.seal(key, data, self._header.id, "item", file.partition(".")[0])

    def _unsealed(self, data: bytes, file: str, name: str) -> bytes:
        if sealing.form_of(data) == 1:
            text = sealing.unseal(self._key, data, self._header.id, f"service {self._service}", name, form=1)
        else:
            text = sealing.unseal(self._key, data, self._header.id, "item", file.partition(".")[0])
        if text is None:
            raise KeyStoreCorrupt(
                f"the item {name} in {self._folder.path} is damaged or does not belong there",
                hint=f"restore {file} from a backup of this folder",
            )
        return text


def _named(stem: str, epoch: int) -> str:
    return f"{stem}.{epoch}{_SUFFIX}" if epoch else stem + _SUFFIX


def _epoch(file: str) -> int | None:
    """The epoch of an item's file, None where it is none."""
    if not file.endswith(_SUFFIX):
        return None
    _, _, number = file.removesuffix(_SUFFIX).partition(".")
    return int(number) if number.isdigit() else None if number else 0
