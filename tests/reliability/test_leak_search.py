"""The search for leaks finds what is planted in each place and each form.

`tests/sweep.py` is the search, `tests/story/test_leaks.py` uses it on every command.
"""

import base64
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import sweep

from rotator.keys import PrivateKey


@pytest.fixture(scope="module")
def key() -> PrivateKey:
    return PrivateKey.generate(2048)


NUMBERS = ("d", "p", "q", "dp", "dq", "qi")


def _der(key: PrivateKey) -> bytes:
    return base64.b64decode(key.to_item())


def _jwk(name: str, key: PrivateKey) -> bytes:
    return json.dumps({name: jwk_integer(key, name)}).encode()


def _decimal(name: str, key: PrivateKey) -> bytes:
    return str(integer(key, name)).encode()


def _hexadecimal(name: str, key: PrivateKey) -> bytes:
    return f"{integer(key, name):#x}".encode()


FORMS: dict[str, Callable[[PrivateKey], bytes]] = {
    "DER": _der,
    "PEM": lambda key: key.to_pem(),
    "PEM in JSON": lambda key: json.dumps({"key": key.to_pem().decode()}).encode(),
    "a middle line of PEM": lambda key: b"\n".join(key.to_pem().splitlines()[12:14]),
    "PEM as Python shows it": lambda key: repr(key.to_pem()).encode(),
    "the keyring's form": lambda key: key.to_item().encode(),
    "base64, one byte before it": lambda key: base64.b64encode(b"." + _der(key)),
    "base64, two bytes before it": lambda key: base64.b64encode(b".." + _der(key)),
    "base64 for URLs": lambda key: base64.urlsafe_b64encode(_der(key)),
    "hex": lambda key: _der(key).hex().encode(),
    "HEX": lambda key: _der(key).hex().upper().encode(),
    "hex with colons, as openssl prints it": lambda key: _der(key).hex(":").encode(),
    "a number in memory": lambda key: integer(key, "p").to_bytes(128, "little"),
    **{f"JWK {name}": partial(_jwk, name) for name in NUMBERS},
    **{f"decimal {name}": partial(_decimal, name) for name in NUMBERS},
    **{f"0x of {name}": partial(_hexadecimal, name) for name in NUMBERS},
}


def integer(key: PrivateKey, name: str) -> int:
    numbers = key._key.private_numbers()
    return {
        "d": numbers.d,
        "p": numbers.p,
        "q": numbers.q,
        "dp": numbers.dmp1,
        "dq": numbers.dmq1,
        "qi": numbers.iqmp,
    }[name]


def jwk_integer(key: PrivateKey, name: str) -> str:
    number = integer(key, name)
    return base64.urlsafe_b64encode(number.to_bytes((number.bit_length() + 7) // 8)).rstrip(b"=").decode()


@pytest.mark.parametrize("form", FORMS)
def test_the_search_knows_every_form_of_a_key(key: PrivateKey, form: str) -> None:
    planted = b"before " * 100 + FORMS[form](key) + b" after" * 100
    assert sweep.hits({"here": planted}, sweep.of_key(key))


def test_the_search_knows_every_form_of_a_password_and_any_token() -> None:
    secret = b"correct horse battery"
    needles = sweep.of_secret("password", secret)
    for planted in (
        secret,
        secret.hex().encode(),
        secret.hex().upper().encode(),
        secret.decode().encode("utf-16-le"),
        *(base64.b64encode(b"x" * shift + secret + b"yz") for shift in range(3)),
    ):
        assert sweep.hits({"here": b"a " + planted + b" b"}, needles) == ["here: password"]
    assert sweep.hits({"here": b"a eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl b"}, {}) == ["here: a token"]


def test_the_search_does_not_take_public_things_for_secrets(key: PrivateKey) -> None:
    from datetime import UTC, datetime

    from rotator.model import Algorithm

    public = (
        key.public.to_pem() + key.certificate("x", 10, datetime.now(UTC)) + json.dumps(key.public.jwk(Algorithm.RS256))
    )
    assert sweep.hits({"here": public.encode() + os.urandom(1 << 20)}, sweep.of_key(key)) == []


CANARY = """
import mmap, os, sqlite3, sys, tempfile
if len(sys.argv) == 1:
    text = sys.stdin.readline().strip()
    os.execve(sys.executable, [sys.executable, sys.argv[0], text], {**os.environ, "CANARY": text})
text = sys.argv[1]
print(text, flush=True)
print(text, file=sys.stderr, flush=True)
journal = sqlite3.connect(os.path.join(os.environ["STATE"], "journal.sqlite"))
journal.execute("PRAGMA journal_mode = WAL")
journal.execute("CREATE TABLE t (secret TEXT)")
journal.execute("INSERT INTO t VALUES (?)", (text,))
journal.commit()
file = tempfile.NamedTemporaryFile(delete=False)
file.write(text.encode())
file.flush()
deleted = tempfile.TemporaryFile()
deleted.write(text.encode())
deleted.flush()
mapped = tempfile.TemporaryFile()
mapped.write(text.encode())
mapped.flush()
memory = mmap.mmap(mapped.fileno(), 0)
mapped.close()
sys.stdin.read()
os._exit(0)
"""


def test_the_search_looks_in_every_place(key: PrivateKey, tmp_path: Path) -> None:
    """One program that leaks its key everywhere at once: each place gives it away."""
    program, state, temporary = tmp_path / "canary.py", tmp_path / "state", tmp_path / "tmp"
    program.write_text(CANARY)
    state.mkdir()
    temporary.mkdir()
    watched = sweep.Watched((sys.executable, program), {"STATE": str(state), "TMPDIR": str(temporary)})
    needles = sweep.of_key(key)
    in_proc = {"/proc/PID/cmdline", "/proc/PID/environ", "/proc/PID/fd"}
    if sweep.may(sweep.SYS_ADMIN):  # which it takes to follow these links
        in_proc.add("/proc/PID/map_files")
    # It waits for the end of its standard input, and so for being seen.
    places = watched.run(
        key.to_item().encode() + b"\n", until=lambda: in_proc <= found(watched.so_far(), needles)
    ) | sweep.files(tmp_path)
    expected = {"stdout", "stderr", *in_proc, "state/journal.sqlite-wal"}
    assert expected - found(places, needles) == set()
    assert any(place.startswith("tmp/") for place in found(places, needles))


def found(places: sweep.Places, needles: sweep.Needles) -> set[str]:
    """The places that give it away."""
    return {hit.partition(": ")[0] for hit in sweep.hits(places, needles)}
