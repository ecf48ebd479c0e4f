"""A stand-in for the owners and access lists of Windows: who there is, and what is whose."""

import os
from pathlib import Path

import pytest

from rotator.ownership.access_lists import AccessLists
from rotator.windows.access import EVERYONE


DOMAIN = "S-1-5-21-1004336348-1177238915-682003330"
ME = f"{DOMAIN}-1107"
SERVICE = f"{DOMAIN}-1201"
USERS, AUTHENTICATED = "S-1-5-32-545", "S-1-5-11"
PROGRAM_DATA = (
    "O:SYG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;DCLCRPCR;;;BU)"
)
"""C:\\ProgramData of a Windows Server."""


class Machine:
    """A stand-in for the security of Windows: descriptors by path, handed on as Windows does for what is made."""

    def __init__(self) -> None:
        self.account = ME
        self.found: dict[Path, str] = {}
        self.names = {ME: r"CORP\svc-rotator", SERVICE: r"CORP\gmsa$", USERS: r"BUILTIN\Users", EVERYONE: "Everyone"}

    def descriptor(self, path: Path) -> str:
        if path not in self.found:
            raise PermissionError(13, "Access is denied")
        return self.found[path]

    def me(self) -> str:
        return self.account

    def name(self, sid: str) -> str:
        return self.names.get(sid, sid)

    def make_folder(self, path: Path, descriptor: str) -> None:
        path.mkdir()
        self.found[path] = f"O:{self.account}{descriptor}"

    def make_file(self, path: Path, descriptor: str) -> int:
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        self.found[path] = f"O:{self.account}{descriptor}"
        return opened


def on_windows(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """rotator on Windows, as far as owners and access lists go."""
    made = Machine()
    for place in (
        "rotator.keystore.ownership.guard",
        "rotator.keystore.secret_refs.guard",
        "rotator.state.directory.guard",
        "rotator.cli.files.guard",
        "rotator.config.location.guard",
    ):
        monkeypatch.setattr(place, lambda: AccessLists(made))
    return made
