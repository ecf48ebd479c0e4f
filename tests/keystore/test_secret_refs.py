"""Secrets that the configuration refers to."""

from pathlib import Path

import pytest
from stand_ins import KEY

from rotator.errors import (
    SecretUnavailable,
)
from rotator.keystore.sealed_file import SealedFiles
from rotator.keystore.secret_refs import read_text
from rotator.model import (
    SecretKind,
    SecretRef,
)


@pytest.fixture
def store(tmp_path: Path) -> SealedFiles:
    return SealedFiles(tmp_path / "keys", KEY)


def test_secrets_come_from_where_they_are_said_to_be(tmp_path: Path, store: SealedFiles) -> None:
    (tmp_path / "pw").write_text("s3cret\n")
    (tmp_path / "pw").chmod(0o600)
    store.set("secret/pw", "s3cret")
    for reference, environ in (
        (SecretRef(SecretKind.FILE, str(tmp_path / "pw")), {}),
        (SecretRef(SecretKind.CREDENTIAL, "pw"), {"CREDENTIALS_DIRECTORY": str(tmp_path)}),
        (SecretRef(SecretKind.KEYRING, "pw"), {}),
    ):
        assert read_text(reference, environ, store) == "s3cret"


def test_secrets_that_are_not_to_be_had(tmp_path: Path, store: SealedFiles) -> None:
    open_to_all = tmp_path / "pw"
    open_to_all.write_text("s3cret")
    open_to_all.chmod(0o644)
    for reference, said in (
        (SecretRef(SecretKind.FILE, str(open_to_all)), "can be read by others"),
        (SecretRef(SecretKind.FILE, str(tmp_path / "none")), "No such file"),
        (SecretRef(SecretKind.CREDENTIAL, "pw"), "CREDENTIALS_DIRECTORY is not set"),
        (SecretRef(SecretKind.KEYRING, "pw"), "no such secret"),
    ):
        with pytest.raises(SecretUnavailable, match=said) as caught:
            read_text(reference, {}, store)
        assert "s3cret" not in str(caught.value)
        assert str(caught.value).count(str(tmp_path)) <= 1
