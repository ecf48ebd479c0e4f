"""Where things are on Windows, and who may have put them there. Windows itself is a stand-in here."""

from pathlib import Path

import pytest
from windows_accounts import DOMAIN, ME, PROGRAM_DATA, SERVICE, Machine, on_windows

from rotator.config.location import default_state, find
from rotator.errors import ConfigError, KeyStoreUnavailable
from rotator.keystore import secret_refs
from rotator.keystore.sealed_file import SealedFiles
from rotator.model import SecretKind, SecretRef
from rotator.state import directory


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return on_windows(monkeypatch)


def test_windows_has_one_place_for_every_account(tmp_path: Path) -> None:
    environ = {
        "PROGRAMDATA": str(tmp_path),
        "APPDATA": str(tmp_path / "roaming"),
        "STATE_DIRECTORY": "/var/lib/rotator",
    }
    assert default_state(environ, "win32") == tmp_path / "rotator" / "state"
    assert default_state({}, "win32") == Path(r"C:\ProgramData") / "rotator" / "state"
    (tmp_path / "roaming" / "rotator").mkdir(parents=True)
    (tmp_path / "roaming" / "rotator" / "rotator.toml").touch()
    with pytest.raises(ConfigError) as caught:
        find(None, environ, "win32")
    assert str(caught.value).count("rotator.toml") == 1


def test_a_configuration_that_somebody_planted_is_not_taken(machine: Machine, tmp_path: Path) -> None:
    folder, environ = tmp_path / "rotator", {"PROGRAMDATA": str(tmp_path)}
    folder.mkdir()
    file = folder / "rotator.toml"
    file.touch()
    safe = "O:BAD:PAI(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;OICI;0x1200a9;;;BU)"
    machine.found = {folder: safe, file: safe}
    for explicit, more in ((None, {}), (file, {}), (None, {"ROTATOR_CONFIG": str(file)})):
        assert find(explicit, {**environ, **more}, "win32") == file
    attacker = f"O:{DOMAIN}-1999D:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)"
    for planted in ({folder: attacker, file: safe}, {folder: safe, file: attacker}):
        machine.found = planted
        for explicit, more in ((None, {}), (file, {}), (None, {"ROTATOR_CONFIG": str(file)})):
            with pytest.raises(ConfigError, match=r"the configuration is not safe: .* belongs to"):
                find(explicit, {**environ, **more}, "win32")
    machine.found = {folder: PROGRAM_DATA, file: safe}
    with pytest.raises(ConfigError, match=r"can be changed by BUILTIN\\Users"):
        find(None, environ, "win32")
    elsewhere = tmp_path / "elsewhere.toml"
    assert find(elsewhere, environ, "win32") == elsewhere


def test_the_folders_of_the_installation_guide_are_taken(machine: Machine, tmp_path: Path) -> None:
    """What the icacls commands of docs/windows.md leave: the service reads, and changes state and keys alone."""
    folder, environ = tmp_path / "rotator", {"PROGRAMDATA": str(tmp_path)}
    read = f"O:BAD:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIID;0x1200a9;;;{SERVICE})"
    both = read.replace("D:AI", f"D:AI(A;OICI;FA;;;{SERVICE})")
    file, secret = folder / "rotator.toml", folder / "client.password"
    for name in ("state", "keys"):
        (folder / name).mkdir(parents=True)
    file.touch()
    secret.touch()
    machine.found = {folder: read.replace("AI", "PAI").replace("ID;", ";"), file: read, secret: read}
    machine.found |= {folder / "state": both, folder / "keys": both}
    machine.account = SERVICE
    assert find(None, environ, "win32") == file
    assert secret_refs.read(SecretRef(SecretKind.FILE, str(secret)), {}) == b""
    directory.prepare(default_state(environ, "win32"))
    SealedFiles(folder / "keys", bytes(32)).set("item", "text")
    machine.account = ME
    assert find(None, environ, "win32") == file
    for refused in (lambda: directory.prepare(folder / "state"), lambda: SealedFiles(folder / "keys", bytes(32))):
        with pytest.raises((ConfigError, KeyStoreUnavailable), match=r"by CORP\\gmsa\$"):
            refused()
