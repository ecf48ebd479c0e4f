"""Disks that are full, fill up, or are read-only: real small file systems where this account may mount them.

Elsewhere limits on the size of files and the modes of folders stand in for them, so that nothing is skipped.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Self


PAGE: Final = 4096
FILLER: Final = "filler"


class SmallDisk:
    """A tmpfs in a mount namespace of its own over a folder; it goes with the process that holds the namespace.

    What was in the folder is copied onto it, and what is on it in the end is copied back. `inside` is what a command must
    begin with to see it, `path` is where it is seen from outside.
    """

    def __init__(self, folder: Path, pages: int = 256, inodes: int = 128) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, exist_ok=True)
        script = (
            "disk=$(mktemp -d) && "
            f"mount -t tmpfs -o size={pages * PAGE},nr_inodes={inodes},mode=0700 disk $disk && "
            f"cp -a {folder}/. $disk && mount --bind $disk {folder} && umount $disk && rmdir $disk && "
            "echo ready && exec cat"
        )
        self._holder = subprocess.Popen(
            (*_unshare(), "sh", "-ec", script), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"
        user = ("--user", "--preserve-credentials") if os.geteuid() else ()
        self.inside = ("nsenter", "--target", str(self._holder.pid), *user, "--mount", f"--wd={Path.cwd()}")
        self.path = Path(f"/proc/{self._holder.pid}/root{folder}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        left = self._folder.with_name(f"{self._folder.name}.left")
        shutil.copytree(self.path, left, symlinks=True)
        self._holder.communicate("")
        shutil.rmtree(self._folder)
        left.rename(self._folder)

    def fill(self, free: int = 0) -> None:
        """Leave room for `free` pages."""
        filler = self.path / FILLER
        filler.unlink(missing_ok=True)
        found = os.statvfs(self.path)
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max((found.f_bavail - free) * found.f_bsize, 1))

    def use_up(self, free: int = 0) -> None:
        """Leave room for `free` more files."""
        (self.path / FILLER).mkdir()
        for number in range(os.statvfs(self.path).f_ffree - free):
            (self.path / FILLER / str(number)).touch()

    def make_room(self) -> None:
        """Whatever was done to it is taken back."""
        self._remount("rw")
        filler = self.path / FILLER
        if filler.is_dir():
            shutil.rmtree(filler)
        filler.unlink(missing_ok=True)

    def forbid_writing(self) -> None:
        """Read-only from now on."""
        self._remount("ro")

    def _remount(self, how: str) -> None:
        subprocess.run((*self.inside, "mount", "-o", f"remount,bind,{how}", self._folder), check=True)


def _unshare() -> tuple[str, ...]:
    own = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    return ("unshare", *own, "--mount", "--propagation", "private")


def mountable() -> bool:
    """Whether this account may mount a file system in a namespace of its own."""
    command = (*_unshare(), "sh", "-c", "mount -t tmpfs none /mnt && mount -o remount,ro /mnt")
    try:
        return subprocess.run(command, capture_output=True).returncode == 0
    except OSError:
        return False


def limited(size: int) -> tuple[str, ...]:
    """What a command begins with so that no file can grow beyond `size` bytes: every write past it fails."""
    return ("prlimit", f"--fsize={size}", "--")


@contextmanager
def unwritable(*folders: Path) -> Iterator[tuple[str, ...]]:
    """Folders in which nothing can be made, and what a command begins with so that root obeys their modes."""
    paths = [path for folder in folders for path in (folder, *folder.rglob("*")) if path.exists()]
    modes = [(path, path.stat().st_mode & 0o777) for path in paths]
    for path, mode in modes:
        path.chmod(mode & 0o555)
    try:
        yield ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--") if os.geteuid() == 0 else ()
    finally:
        for path, mode in modes:
            path.chmod(mode)


def largest(folder: Path) -> int:
    """The size of the largest file under a folder."""
    return max((path.stat().st_size for path in folder.rglob("*") if path.is_file()), default=0)


def started(prefix: Sequence[str], command: Sequence[str]) -> tuple[str, ...]:
    """A command under a prefix."""
    return (*prefix, *command)
