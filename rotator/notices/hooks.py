"""A folder of executables, each a channel of its own, run in the order of their names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rotator import executables
from rotator.model import Notice
from rotator.notices.channel import Channel, Unsent
from rotator.report.notice import variables


_LEFTOVERS: Final = ("~", ".bak", ".orig", ".disabled", ".rpmnew", ".rpmsave", ".rpmorig", ".swp")
"""What editors and package managers leave behind; also everything with `.dpkg-` in it."""


@dataclass(frozen=True, slots=True)
class Hook:
    """One executable. What it is told is in its environment; its standard input is empty."""

    path: Path

    @property
    def name(self) -> str:
        """`hook` and the file's name."""
        return f"hook {self.path.name}"

    def send(self, notice: Notice) -> None:
        """Run it to its end."""
        try:
            executables.run([self.path], variables(notice))
        except executables.Failed as failed:
            raise Unsent(str(failed)) from None


@dataclass(frozen=True, slots=True)
class Unusable:
    """In place of hooks that are not run, so that what they should have told is not taken for told."""

    name: str
    cause: str

    def send(self, notice: Notice) -> None:  # noqa: ARG002 - Channel
        """Say why it is not used."""
        raise Unsent(self.cause)


def channels(folder: Path) -> tuple[Channel, ...]:
    """The hooks of a folder. The folder itself must be safe: who can write to it chooses what runs.

    A file that is not executable is told as unusable, so that a hook which lost its bit is not silent.
    """
    try:
        executables.resolved(folder)
        names = sorted(path for path in folder.iterdir() if not _leftover(path.name))
    except executables.Failed as failed:
        return (Unusable("hooks", f"{folder} {failed}"),)
    except OSError as error:
        return (Unusable("hooks", f"{folder} cannot be read: {error.strerror}"),)
    return tuple(_hook(path) for path in names if not path.is_dir())


def _hook(path: Path) -> Channel:
    try:
        executable = bool(path.stat().st_mode & 0o111)
    except OSError as error:
        return Unusable(f"hook {path.name}", f"cannot be used: {error.strerror}")
    if not executable:
        return Unusable(
            f"hook {path.name}", f"is not executable: chmod +x {path}, or rename it to {path.name}.disabled"
        )
    return Hook(path)


def _leftover(name: str) -> bool:
    return name.startswith((".", "README")) or name.endswith(_LEFTOVERS) or ".dpkg-" in name
