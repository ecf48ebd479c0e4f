"""What a program says on its standard error: the last of it is told, and never a piece of the key that it was given."""

import base64
import re
import subprocess
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from rotator import executables
from rotator.keys import PrivateKey
from rotator.redaction import without_pieces


KEY = PrivateKey.generate(2048)
PEM = KEY.to_pem().decode()
BODY = "".join(PEM.splitlines()[1:-1])
DER = base64.b64decode(BODY)
MIDDLE = DER[len(DER) // 2 :][:12]
"""Of a prime, at no offset that base64 begins at."""


def said(written: str, tmp_path: Path, given: bytes = PEM.encode(), *, secret: bool = True) -> str:
    """How the run of a program is told that fails and writes that on its standard error."""
    (tmp_path / "said").write_text(written)
    with pytest.raises(executables.Failed) as caught:
        executables.run(["/bin/sh", "-c", f"cat >/dev/null; cat {tmp_path}/said >&2; exit 3"], {}, given, secret=secret)
    return str(caught.value)


QUOTED: dict[str, Callable[[], str]] = {
    "the last line of PEM": lambda: PEM.splitlines()[-2][-30:],
    "a piece of PEM": lambda: f"cannot parse {BODY[600:608]}!",
    "PEM in lines of its own": lambda: f"{BODY[800:804]} {BODY[804:808]}",
    "the alphabet of URLs": lambda: BODY[700:730].translate(str.maketrans("+/", "-_")),
    "the end of PEM": lambda: BODY[-5:],
    "hex": lambda: f"bad integer {MIDDLE[:4].hex()}",
    "hex in capitals": lambda: MIDDLE.hex().upper(),
    "hex with colons": lambda: f"    {MIDDLE.hex(':')}",
    "hex with blanks": lambda: MIDDLE.hex(" ").upper(),
    "hex as in C": lambda: ", ".join(f"0x{byte:02x}" for byte in MIDDLE),
    "a part of a JWK": lambda: f'"dp":"{base64.urlsafe_b64encode(MIDDLE).decode().rstrip("=")}"',
    "a part of a JWK one byte on": lambda: base64.urlsafe_b64encode(MIDDLE[1:]).decode(),
    "a part of a JWK two bytes on": lambda: base64.urlsafe_b64encode(MIDDLE[2:]).decode(),
    "PEM in base64": lambda: base64.b64encode(PEM.encode()).decode()[1000:1030],
}


@pytest.mark.parametrize("how", QUOTED)
def test_no_piece_of_the_key_that_a_program_was_given_is_told(how: str, tmp_path: Path) -> None:
    assert said(f"it does not fit\n{QUOTED[how]()}\n", tmp_path) == "ended with status 3: it does not fit"
    assert said(QUOTED[how](), tmp_path) == "ended with status 3: …"


@pytest.mark.parametrize(
    "words",
    [
        "Could not find private key: unable to load, expecting ANY PRIVATE KEY",
        "deadbeef is no such host",
        f"key {'0123456789ab'} is not wanted",
        "2026-11-28 01:02:03 service restart failed: Unit nginx.service not found.",
    ],
)
def test_what_is_no_piece_of_it_is_told(words: str, tmp_path: Path) -> None:
    assert said(f"first\n{words}\n", tmp_path) == f"ended with status 3: {words}"


def test_what_is_no_secret_may_be_quoted(tmp_path: Path) -> None:
    """A mail system says which address it does not take."""
    words = "recipient ops@example.com refused"
    assert said(words, tmp_path, b"To: ops@example.com\n", secret=False) == f"ended with status 3: {words}"
    assert said(words, tmp_path, b"To: ops@example.com\n") == "ended with status 3: …"


def test_of_a_key_as_openssl_prints_it_the_headings_alone_are_told() -> None:
    shown = subprocess.run(["openssl", "rsa", "-text"], input=PEM, capture_output=True, text=True, check=True).stdout
    headings = [line for line in shown.splitlines() if re.search("[g-z].*:|---", line)]
    assert "coefficient:" in headings
    assert without_pieces(shown.splitlines(), PEM.encode()) == headings


def test_of_what_a_program_says_without_end_the_last_is_kept(tmp_path: Path) -> None:
    script = "head -c 64000000 /dev/zero | tr '\\0' 'x' >&2; echo >&2; echo the end >&2; exit 3"
    tracemalloc.start()
    try:
        with pytest.raises(executables.Failed) as caught:
            executables.run(["/bin/sh", "-c", script], {})
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert str(caught.value) == "ended with status 3: the end"
    assert peak < 4_000_000
