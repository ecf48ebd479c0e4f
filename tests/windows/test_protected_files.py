"""Master keys that DPAPI protects. Windows itself is a stand-in here."""

import base64
import json
from pathlib import Path

import pytest
from windows_accounts import ME, Machine, on_windows

from rotator.cli.app import run
from rotator.errors import SecretUnavailable
from rotator.keystore import secret_refs
from rotator.model import SecretKind, SecretRef
from rotator.windows import dpapi


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return on_windows(monkeypatch)


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
    monkeypatch.setattr(dpapi, "border", Vault)
    plain, protected = tmp_path / "plain", tmp_path / "protected"
    assert run(["keys", "master-key", "--output", str(plain)]) == 0
    assert run(["keys", "master-key", "--dpapi", str(protected), "--from", str(plain)]) == 0
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
