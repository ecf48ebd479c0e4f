"""Access lists: what real folders of Windows have, and what rotator makes of it. Windows itself is a stand-in here."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator import ownership
from rotator.cli.files import write_private
from rotator.config.location import default_state, find
from rotator.errors import ConfigError, InstallationMismatch, KeyStoreUnavailable, SecretUnavailable, UsageError
from rotator.keystore import secret_refs
from rotator.keystore.sealed_file import SealedFiles
from rotator.model import SecretKind, SecretRef
from rotator.ownership import Cause, Use
from rotator.ownership.access_lists import AccessLists
from rotator.state import directory
from rotator.windows import access, dpapi
from rotator.windows.access import CHANGE, EVERYONE, USE, NotUnderstood, Right, private


DOMAIN = "S-1-5-21-1004336348-1177238915-682003330"
ME = f"{DOMAIN}-1107"
SERVICE = f"{DOMAIN}-1201"
USERS, AUTHENTICATED = "S-1-5-32-545", "S-1-5-11"
OPEN_TO_USERS = "(A;OICIID;0x1200a9;;;BU)(A;CIID;DCLCRPCR;;;BU)"
PROGRAM_DATA = (
    "O:SYG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;DCLCRPCR;;;BU)"
)
"""C:\\ProgramData of a Windows Server."""


@pytest.mark.parametrize(
    ("descriptor", "trusted", "readers", "changers"),
    [
        # What rotator makes.
        (f"O:{ME}" + private(ME, folder=True), True, (), ()),
        ("O:BAG:DUD:PAI(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)" + f"(A;OICI;FA;;;{ME})", True, (), ()),
        # What Python makes of mkdir(mode=0o700): OWNER RIGHTS.
        (f"O:{ME}G:DUD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;OW)", True, (), ()),
        # A folder made in ProgramData: its owner's, read and added to by every user.
        (
            f"O:{ME}G:DUD:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;ID;FA;;;{ME})(A;OICIIOID;GA;;;CO){OPEN_TO_USERS}",
            True,
            (USERS,),
            (USERS,),
        ),
        (PROGRAM_DATA, True, (USERS,), (USERS,)),
        # A file in it: read by every user.
        (f"O:{ME}G:DUD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;FA;;;{ME})(A;ID;0x1200a9;;;BU)", True, (USERS,), ()),
        # A folder at the root of a drive: authenticated users change it.
        (
            "O:BAD:AI(A;OICIID;FA;;;BA)(A;OICIID;0x1200a9;;;BU)(A;ID;0x1301bf;;;AU)(A;OICIIOID;SDGXGWGR;;;AU)",
            True,
            (AUTHENTICATED, USERS),
            (AUTHENTICATED,),
        ),
        # Everyone, by the two letters and by the SID; generic rights.
        (f"O:{ME}D:(A;;FR;;;WD)(A;;FA;;;SY)", True, (EVERYONE,), ()),
        (f"O:{ME}D:(A;;GR;;;S-1-1-0)", True, (EVERYONE,), ()),
        (f"O:{ME}D:(A;;GA;;;WD)", True, (EVERYONE,), (EVERYONE,)),
        (f"O:{ME}D:(A;;0x80000000;;;WD)", True, (EVERYONE,), ()),
        # Rights that give neither content nor change: attributes, traversing, who may what.
        (f"O:{ME}D:(A;;0x1200a0;;;BU)(A;;RC;;;WD)(A;;0x100080;;;AU)(A;;GX;;;BU)", True, (), ()),
        # Rights by which the others can be taken.
        (f"O:{ME}D:(A;;WD;;;BU)", True, (USERS,), (USERS,)),
        (f"O:{ME}D:(A;;WO;;;BU)", True, (USERS,), (USERS,)),
        (f"O:{ME}D:(A;;SD;;;BU)", True, (USERS,), (USERS,)),
        (f"O:{ME}D:(A;;DT;;;BU)", True, (USERS,), (USERS,)),
        # Only handed on to what is made in the folder: that will be as open.
        (f"O:{ME}D:(A;OICIIO;GR;;;BU)(A;OICIIO;GA;;;CO)", True, (USERS,), ()),
        # The group of whoever makes something: Domain Users, in the end.
        (f"O:{ME}D:(A;OICIIO;GR;;;CG)", True, ("S-1-3-1",), ()),
        # A denial is no proof: it binds one group, and may not be handed on.
        (f"O:{ME}D:(D;;FA;;;BU)(A;OICI;FA;;;BU)(A;;FA;;;SY)", True, (USERS,), (USERS,)),
        (f"O:{ME}D:(D;;FA;;;WD)(A;;FA;;;{ME})", True, (), ()),
        # A condition is taken as met; its parentheses are no entries.
        (
            f'O:{ME}D:(XA;;FR;;;AU;(@User.Title=="PM" && (Member_of {{SID(BA)}})))(A;;FA;;;BA)',
            True,
            (AUTHENTICATED,),
            (),
        ),
        (f"O:{ME}D:(OA;;RPCC;;;BU)", True, (USERS,), (USERS,)),
        # No list at all, a null one, and an empty one.
        (f"O:{ME}G:DU", True, (EVERYONE,), (EVERYONE,)),
        (f"O:{ME}G:DUD:NO_ACCESS_CONTROL", True, (EVERYONE,), (EVERYONE,)),
        (f"O:{ME}G:DUD:", True, (), ()),
        (f"O:{ME}G:DUD:PAI", True, (), ()),
        # Somebody else's; the service's own list, seen by an administrator.
        (f"O:{SERVICE}D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{SERVICE})", False, (SERVICE,), (SERVICE,)),
        (f"O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;{SERVICE})", True, (SERVICE,), (SERVICE,)),
        ("O:BUD:(A;;FA;;;SY)", False, (), ()),
        # Names of a domain or of this machine's own accounts.
        (f"O:{ME}D:(A;;FR;;;DU)(A;;FR;;;LA)", True, ("DU", "LA"), ()),
        # Another domain's user with the same number.
        (f"O:{ME}D:(A;;FR;;;S-1-5-21-1-2-3-1107)", True, ("S-1-5-21-1-2-3-1107",), ()),
        # What audits is no part of it.
        (f"O:{ME}D:(A;;FA;;;SY)S:AI(AU;SAFA;FA;;;WD)", True, (), ()),
    ],
)
def test_who_may_read_and_who_may_change(
    descriptor: str, trusted: bool, readers: tuple[str, ...], changers: tuple[str, ...]
) -> None:
    private_use, guarded_use = access.access(descriptor, ME, USE), access.access(descriptor, ME, CHANGE)
    assert private_use.trusted_owner is guarded_use.trusted_owner is trusted
    assert private_use.others == readers
    assert guarded_use.others == changers


def test_the_machines_own_administrator_is_known_by_its_letters() -> None:
    assert access.access("O:LAD:(A;;FA;;;LA)", "LA", USE) == access.Access("LA", trusted_owner=True, others=())
    assert access.access("O:LAD:(A;;FA;;;LA)", ME, USE).others == ("LA",)
    assert access.access("O:LSD:(A;;FA;;;S-1-5-19)", "LS", USE).others == ()


@pytest.mark.parametrize(
    "descriptor",
    [
        "",
        "D:(A;;FA;;;SY)",
        "O:D:(A;;FA;;;SY)",
        "nonsense",
        f"O:{ME}D:(A;;FA;;;SY",
        f"O:{ME}D:(A;;FA;;;SY))",
        f"O:{ME}D:(A;;XX;;;SY)",
        f"O:{ME}D:(A;;FAF;;;SY)",
        f"O:{ME}D:(A;;0xg;;;SY)",
        f"O:{ME}D:(Q;;FA;;;SY)",
        f"O:{ME}D:(A;;FA)",
        f"O:{ME}D:NEW(A;;FA;;;SY)",
        f"O:{ME}X:AI",
    ],
)
def test_what_is_not_understood_is_not_taken_for_safe(descriptor: str) -> None:
    with pytest.raises(NotUnderstood):
        access.access(descriptor, ME, USE)


TRUSTEES = st.sampled_from((ME, SERVICE, "SY", "BA", "BU", "WD", "AU", "CO", "OW", "S-1-1-0"))
MASKS = st.sampled_from(("FA", "FR", "FW", "FX", "GA", "GR", "GW", "GX", "RC", "SD", "WD", "DCLCRPCR", "0x1301bf", ""))
ENTRIES = st.lists(
    st.tuples(st.sampled_from("AD"), st.sampled_from(("", "ID", "OICI", "OICIIO")), MASKS, TRUSTEES), max_size=5
)


@given(ENTRIES)
def test_an_allowance_more_never_makes_it_safer_and_a_denial_nothing(entries: list[tuple[str, str, str, str]]) -> None:
    def others(chosen: list[tuple[str, str, str, str]]) -> set[str]:
        text = "".join(f"({kind};{flags};{mask};;;{trustee})" for kind, flags, mask, trustee in chosen)
        return set(access.access(f"O:{ME}D:AI{text}", ME, USE).others)

    assert others(entries) == others([entry for entry in entries if entry[0] == "A"])
    assert others(entries[1:]) <= others(entries)
    assert set(access.access(f"O:{ME}{private(ME, folder=True)}", ME, Right(0xFFFFFFFF)).others) == set()


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


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
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


class Vault:
    """A stand-in for DPAPI: what was protected opens with the same entropy, on the same machine, to its account."""

    account = "me"

    def protect(self, data: bytes, entropy: bytes, description: str, *, machine: bool) -> bytes:
        return b"|".join((b"blob", b"" if machine else self.account.encode(), entropy, data[::-1]))

    def unprotect(self, data: bytes, entropy: bytes) -> bytes:
        error = OSError(22, "The data is invalid.")
        word, account, bound, hidden = data.split(b"|", 3) if data.count(b"|") >= 3 else (b"", b"", b"", b"")
        if word != b"blob" or bound != entropy:
            error.winerror = 13  # type: ignore[attr-defined]
            raise error
        if account not in (b"", self.account.encode()):
            error.winerror = -2146893813  # type: ignore[attr-defined]
            raise error
        return hidden[::-1]


def test_a_master_key_that_windows_protects_opens_the_keyring(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import json

    from rotator.cli.app import run

    vault = Vault()
    monkeypatch.setattr(dpapi, "border", lambda: vault)
    for scope in ("machine", "user"):
        file = tmp_path / f"{scope}.dpapi"
        assert run(["keys", "master-key", "--dpapi", str(file), "--scope", scope, "--json"]) == 0
        told = capsys.readouterr().out
        assert json.loads(told)["results"][0]["reference"] == f"dpapi:{file}"
        reference = SecretRef(SecretKind.DPAPI, str(file))
        key = secret_refs.read(reference, {})
        assert len(key) == 32
        assert key not in file.read_bytes()
        assert machine.found[file] == f"O:{ME}D:P(A;;FA;;;{ME})(A;;FA;;;SY)(A;;FA;;;BA)"
    vault.account = "somebody"
    assert len(secret_refs.read(SecretRef(SecretKind.DPAPI, str(tmp_path / "machine.dpapi")), {})) == 32
    with pytest.raises(SecretUnavailable, match="protected for another account or on another machine"):
        secret_refs.read(reference, {})
    file.write_bytes(b"blob||rotator dpapi 2|x")
    with pytest.raises(SecretUnavailable, match="damaged, or was not protected by rotator"):
        secret_refs.read(reference, {})
    machine.found[file] = f"O:{ME}D:(A;;FR;;;WD)"
    with pytest.raises(SecretUnavailable, match="can be read or changed by Everyone"):
        secret_refs.read(reference, {})


def test_a_master_key_that_is_there_is_protected_as_it_is(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rotator.cli.app import run

    monkeypatch.setattr(dpapi, "border", Vault)
    plain, protected = tmp_path / "plain", tmp_path / "protected"
    assert run(["keys", "master-key", "--output", str(plain)]) == 0
    assert run(["keys", "master-key", "--dpapi", str(protected), "--from", str(plain)]) == 0
    import base64

    assert secret_refs.read(SecretRef(SecretKind.DPAPI, str(protected)), {}) == base64.b64decode(plain.read_bytes())


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        (2, "are not loaded"),
        (13, "damaged"),
        (0x8009000B, "another account or on another machine"),
        (0x8009000B - 2**32, "another account or on another machine"),
        (0x80090345, "S4U"),
        (1722, "error 0x6ba"),
        (None, "error 0x0"),
    ],
)
def test_what_windows_says_of_a_protected_file_is_explained(number: int | None, cause: str) -> None:
    error = OSError(22, "…")
    if number is not None:
        error.winerror = number  # type: ignore[attr-defined]
    refused = dpapi.explained(error)
    assert cause in refused.cause
    assert refused.hint


def test_modes_are_what_counts_elsewhere(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    guard = ownership.guard()
    assert guard.fault(tmp_path, Use.GUARDED) is None
    fault = guard.fault(tmp_path, Use.PRIVATE)
    assert fault is not None
    assert (fault.cause, fault.hint) == (Cause.SHARED, f"chmod go= {tmp_path}")
