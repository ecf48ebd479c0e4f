"""Key pairs and their certificates: what Qlik takes, what tools paste, and nothing shown."""

import base64

import pytest
from values import NOW

from rotator.keys import PrivateKey, inspect_certificate


PRIVATE = PrivateKey.generate(2048)
PRIVATE_CERTIFICATE = PRIVATE.certificate("x", 10, NOW)


def test_a_certificate_is_what_qlik_takes() -> None:
    text = PRIVATE.certificate("rotator portal", 1825, NOW)
    assert text.startswith("-----BEGIN CERTIFICATE-----\n")
    assert text.endswith("-----END CERTIFICATE-----\n")
    info = inspect_certificate(text)
    assert info is not None
    assert info.fingerprint == PRIVATE.fingerprint
    assert (NOW - info.not_before).total_seconds() == 3600
    assert (info.not_after - NOW).days == 1825


@pytest.mark.parametrize(
    "wrap",
    [
        lambda text: "Bag Attributes\n" + text,
        lambda text: text.replace("\n", " "),
        lambda text: text.replace("\n", "\r\n"),
    ],
)
def test_certificates_are_read_as_tools_paste_them(wrap: object) -> None:
    assert callable(wrap)
    info = inspect_certificate(wrap(PRIVATE_CERTIFICATE))
    assert info is not None
    assert info.fingerprint == PRIVATE.fingerprint
    assert info.pem == PRIVATE_CERTIFICATE


@pytest.mark.parametrize("before", [b"Bag Attributes\n    localKeyID: A5 8A \n", b"\xef\xbb\xbf", b"\n"])
def test_a_key_is_read_as_tools_write_it(before: bytes) -> None:
    assert PrivateKey.from_file_bytes(before + PRIVATE.to_pem()).fingerprint == PRIVATE.fingerprint


def test_a_certificate_of_a_version_that_there_is_not_is_none_that_can_be_read() -> None:
    """Whoever else has a virtual proxy on the site may have pasted anything into it: every look reads all of them."""
    body = base64.b64decode("".join(PRIVATE_CERTIFICATE.splitlines()[1:-1]))
    other = body.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01", 1)
    assert other != body
    text = base64.b64encode(other).decode("ascii")
    assert inspect_certificate(f"-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n") is None


def test_a_key_shows_nothing_of_itself() -> None:
    import pickle

    assert PRIVATE.fingerprint[:12] in repr(PRIVATE)
    assert len(repr(PRIVATE)) < 40
    with pytest.raises(TypeError):
        pickle.dumps(PRIVATE)


def test_keys_survive_their_items() -> None:
    assert "\n" not in PRIVATE.to_item()
    assert PrivateKey.from_item(PRIVATE.to_item()).fingerprint == PRIVATE.fingerprint
    assert PrivateKey.from_file_bytes(PRIVATE.to_pem()).public.kid == PRIVATE.public.kid
