"""A folder of one account alone, whose files are replaced whole: after a power cut each is the old one or the new one."""

import errno
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from rotator.durable import patiently, replaced, sync_folder
from rotator.errors import KeyStoreUnavailable
from rotator.keystore.ownership import check_private, make_private


LOCK_WAIT: Final = 10.0
"""Seconds to wait for another process that writes."""
TEMPORARY: Final = ".new"
_NO_SPACE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) if sys.platform != "win32" else (errno.ENOSPC, errno.EFBIG)


class PrivateFolder:
    """The folder at `path`, made where it is not there. Raises KeyStoreUnavailable, InstallationMismatch."""

    def __init__(self, path: Path) -> None:
        self.path = path
        make_private(path)
        check_private(path)

    def names(self) -> list[str]:
        """The names of all files in it."""
        with self._mapped():
            return sorted(path.name for path in self.path.iterdir())

    def read(self, name: str) -> bytes | None:
        """The content of a file, None where there is none."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        with self._mapped():
            try:
                descriptor = patiently(lambda: os.open(self.path / name, flags))
            except FileNotFoundError:
                return None
            with os.fdopen(descriptor, "rb") as file:
                return file.read()

    def write(self, name: str, data: bytes) -> None:
        """Temporary file, sync, rename, sync of the folder. The lock is held."""
        path = self.path / name
        temporary = path.with_name(name + TEMPORARY)
        with self._mapped():
            try:
                temporary.unlink(missing_ok=True)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
                with os.fdopen(os.open(temporary, flags, 0o600), "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                replaced(temporary, path)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise

    def remove(self, names: Iterable[str]) -> None:
        """Delete files, those that are there. The lock is held."""
        with self._mapped():
            for name in names:
                path = self.path / name
                patiently(partial(path.unlink, missing_ok=True))
            sync_folder(self.path)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone among all who write to this folder. Raises KeyStoreUnavailable."""
        from filelock import FileLock, Timeout  # noqa: PLC0415 - 55 ms, and reading needs no lock

        with self._mapped():
            lock = FileLock(self.path / "lock", timeout=LOCK_WAIT, mode=0o600)
            try:
                lock.acquire()
            except Timeout:
                raise KeyStoreUnavailable(
                    f"another process has been writing to {self.path} for {LOCK_WAIT:.0f} s", hint="try again"
                ) from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _mapped(self) -> Iterator[None]:
        """What the file system refuses, as ours."""
        try:
            yield
        except OSError as error:
            if error.errno in _NO_SPACE:
                raise KeyStoreUnavailable(
                    f"no space is left for the keyring in {self.path}",
                    hint="nothing was overwritten; make room and try again",
                ) from None
            raise KeyStoreUnavailable(
                f"the keyring in {self.path} cannot be used: {error.strerror}",
                hint="see that the folder is writable for this account and its file system not read-only",
            ) from None
