"""Folders and files that nobody else may read or change, on Windows, which is a stand-in here."""

from pathlib import Path

import pytest
from windows_accounts import ME, PROGRAM_DATA, SERVICE, Machine, on_windows

from rotator import ownership
from rotator.cli.files import write_private
from rotator.errors import ConfigError, InstallationMismatch, KeyStoreUnavailable, SecretUnavailable, UsageError
from rotator.keystore import secret_refs
from rotator.keystore.sealed_file import SealedFiles
from rotator.model import SecretKind, SecretRef
from rotator.ownership import Cause, Use
from rotator.state import directory
from rotator.windows.access import private


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return on_windows(monkeypatch)


def test_new_folders_and_those_above_them_are_private_from_the_first_instant(machine: Machine, tmp_path: Path) -> None:
    machine.found[tmp_path] = PROGRAM_DATA
    directory.prepare(tmp_path / "rotator" / "state")
    assert machine.found[tmp_path / "rotator"] == machine.found[tmp_path / "rotator" / "state"]
    assert machine.found[tmp_path / "rotator"].startswith(f"O:{ME}D:P(A;OICI;FA;;;{ME})")
    directory.prepare(tmp_path / "rotator" / "state")


def test_a_folder_that_others_change_holds_no_state(machine: Machine, tmp_path: Path) -> None:
    machine.found[tmp_path] = f"O:{ME}D:AI(A;OICIID;0x1200a9;;;BU)"
    directory.prepare(tmp_path)
    machine.found[tmp_path] = f"O:{ME}D:AI(A;CIID;DCLCRPCR;;;BU)"
    with pytest.raises(ConfigError, match=r"can be changed by BUILTIN\\Users") as caught:
        directory.prepare(tmp_path)
    assert f'icacls "{tmp_path}" /inheritance:r /grant "CORP\\svc-rotator:(OI)(CI)F"' in str(caught.value.hint)


def test_an_administrator_at_a_prompt_is_told_to_be_the_service(machine: Machine, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    machine.account = SERVICE
    SealedFiles(folder, bytes(32)).set("item", "text")
    machine.account = ME
    with pytest.raises(InstallationMismatch, match=r"belongs to CORP\\gmsa\$, and this is CORP\\svc-rotator") as caught:
        SealedFiles(folder, bytes(32))
    assert "run rotator as CORP\\gmsa$" in str(caught.value.hint)
    machine.found[folder] = f"O:BAD:P(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;{SERVICE})"
    with pytest.raises(KeyStoreUnavailable, match=r"can be read or changed by CORP\\gmsa\$"):
        SealedFiles(folder, bytes(32))
    machine.account = SERVICE
    assert SealedFiles(folder, bytes(32)).get("item") == "text"


def test_a_folder_whose_list_says_nothing_is_refused(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(KeyStoreUnavailable, match="cannot be read: Access is denied"):
        SealedFiles(tmp_path, bytes(32))
    machine.found[tmp_path] = f"O:{ME}D:(?;;FA;;;SY)"
    with pytest.raises(KeyStoreUnavailable, match="an access list that is not understood"):
        SealedFiles(tmp_path, bytes(32))


def test_a_link_in_a_folders_place_is_refused(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    machine.found[tmp_path / "link"] = f"O:{ME}{private(ME, folder=True)}"
    with pytest.raises(KeyStoreUnavailable, match="is a link"):
        SealedFiles(tmp_path / "link", bytes(32))


def test_a_secret_is_written_for_its_owner_alone_and_read_only_so(machine: Machine, tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    write_private(file, b"secret\r\n")
    assert machine.found[file] == f"O:{ME}D:P(A;;FA;;;{ME})(A;;FA;;;SY)(A;;FA;;;BA)"
    reference = SecretRef(SecretKind.FILE, str(file))
    assert secret_refs.read_text(reference, {}) == "secret"
    machine.found[file] = f"O:{ME}D:AI(A;ID;0x1200a9;;;BU)"
    with pytest.raises(SecretUnavailable, match=r"can be read or changed by BUILTIN\\Users"):
        secret_refs.read(reference, {})
    with pytest.raises(UsageError, match="is there already"):
        write_private(file, b"other")


def test_modes_are_what_counts_elsewhere(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    guard = ownership.guard()
    assert guard.fault(tmp_path, Use.GUARDED) is None
    fault = guard.fault(tmp_path, Use.PRIVATE)
    assert fault is not None
    assert (fault.cause, fault.hint) == (Cause.SHARED, f"chmod go= {tmp_path}")
