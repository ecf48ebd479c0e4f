"""A power cut: what was not synced is lost. See power.c for how that is known."""

import shutil
import subprocess
from pathlib import Path
from typing import Final


SOURCE: Final = Path(__file__).with_name("power.c")


class Disk:
    """The folder `root` on a disk that can lose its power; `shadow` is where its synced part is kept."""

    def __init__(self, root: Path, shadow: Path) -> None:
        self.root = root
        self._shadow = shadow
        self._library = shadow.with_suffix(".so")
        shadow.mkdir()
        subprocess.run(
            ("gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", self._library, SOURCE, "-ldl"),
            check=True,
        )

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to write to this disk."""
        return {
            "LD_PRELOAD": str(self._library),
            "POWER_ROOT": str(self.root.resolve()),
            "POWER_SHADOW": str(self._shadow.resolve()),
        }

    def lose_power(self) -> None:
        """Leave what was synced: entries by the last synced listing, contents by the last synced content, else none."""
        rebuilt = self.root.with_suffix(".rebuilt")
        self._rebuild((self._shadow / "root").readlink().name, rebuilt)
        shutil.rmtree(self.root)
        rebuilt.rename(self.root)
        shutil.rmtree(self._shadow)
        self._shadow.mkdir()

    def _rebuild(self, key: str, target: Path) -> None:
        target.mkdir(mode=0o700)
        listing = self._shadow / key
        for line in listing.read_text().splitlines() if listing.exists() else ():
            kind, entry, name = line.split("\t")
            if kind == "folder":
                self._rebuild(entry, target / name)
            else:
                content = self._shadow / entry
                (target / name).touch(mode=0o600)
                (target / name).write_bytes(content.read_bytes() if content.exists() else b"")
