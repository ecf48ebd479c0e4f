"""The search for secrets that lie about: private keys in every form a program may write them in, passwords and tokens.

Used wherever a test says that nothing leaks. Each place that is looked at and each form that is looked for has a
canary in `tests/reliability/test_leak_search.py`.
"""

import base64
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from waiting import eventually

from rotator.keys import PrivateKey


WINDOW: Final = 24
"""Bytes of a secret number that no chance brings about: a leaked piece of twice this length is found."""
DIGITS: Final = 40
PAGE: Final = 4096
LONGEST: Final = 2048
"""Bytes of the longest form that is looked for."""
SYS_PTRACE: Final = 19
SYS_ADMIN: Final = 21
TOKEN: Final = re.compile(rb"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}")
"""A signed JWT, whoever signed it."""
_BETWEEN: Final = re.compile(rb"\\r|\\n|[\s:]+")
"""What writers put between the pieces of a long text: line ends, also as JSON has them, and the colons of hex dumps."""

Needles = Mapping[str, frozenset[bytes]]
"""Pieces to look for, by what they are pieces of."""
Places = Mapping[str, bytes]
"""What was seen, by where."""


def of_key(key: PrivateKey, pieces: int | None = None) -> dict[str, frozenset[bytes]]:
    """Every form of the secret numbers of a key; of each number `pieces` pieces, or all of it.

    DER and PEM hold the numbers as they are; OpenSSL has them in memory with their bytes the other way round.
    """
    private = key._key.private_numbers()
    numbers = {
        "d": private.d,
        "p": private.p,
        "q": private.q,
        "dp": private.dmp1,
        "dq": private.dmq1,
        "qi": private.iqmp,
    }
    found: dict[str, frozenset[bytes]] = {}
    for name, number in numbers.items():
        whole = number.to_bytes((number.bit_length() + 7) // 8)
        windows = [whole[start : start + WINDOW] for start in range(0, len(whole) - WINDOW + 1, WINDOW)][:pieces]
        found[f"{name}, raw"] = frozenset(windows)
        found[f"{name}, little-endian"] = frozenset(window[::-1] for window in windows)
        found[f"{name}, base64"] = frozenset(text for window in windows for text in _base64(window))
        found[f"{name}, hex"] = frozenset(
            text for window in windows for text in (window.hex().encode(), window.hex().upper().encode())
        )
        decimal = str(number).encode()
        starts = range(0, len(decimal) - DIGITS + 1, DIGITS)
        found[f"{name}, decimal"] = frozenset([decimal[start : start + DIGITS] for start in starts][:pieces])
    return found


def of_keys(*keys: PrivateKey) -> dict[str, frozenset[bytes]]:
    """The same of several keys."""
    return {f"{key.fingerprint[:12]}: {name}": pieces for key in keys for name, pieces in of_key(key).items()}


def of_secret(name: str, secret: bytes) -> dict[str, frozenset[bytes]]:
    """A password, master key or token: as it is, base64, hex, and in Windows' encoding."""
    wide = secret.decode("latin-1").encode("utf-16-le")
    return {
        name: frozenset({secret, wide, secret.hex().encode(), secret.hex().upper().encode(), *_base64(secret)}),
    }


def _base64(data: bytes) -> Iterator[bytes]:
    """The characters that `data` has in a longer base64 text, wherever it begins in a group of three bytes."""
    for shift in range(3):
        # Characters that share bits with a neighbour are left out at both ends.
        whole = base64.b64encode(bytes(shift) + data).rstrip(b"=")
        inner = whole[-(-shift * 8 // 6) : (len(data) + shift) * 8 // 6]
        yield inner
        yield inner.translate(bytes.maketrans(b"+/", b"-_"))


def hits(places: Places, needles: Needles, *, tokens: bool = True) -> list[str]:
    """`PLACE: WHAT` for everything that was found. `tokens`: any signed token is one find more."""
    found = []
    for place, seen in places.items():
        joined = _BETWEEN.sub(b"", seen) if seen.isascii() or len(seen) < 1 << 22 else b""
        found += [
            f"{place}: {name}"
            for name, pieces in needles.items()
            if any(piece in seen or piece in joined for piece in pieces)
        ]
        if tokens and TOKEN.search(seen):
            found.append(f"{place}: a token")
    return found


def files(folder: Path, *excepted: str) -> dict[str, bytes]:
    """The content of every file under a folder, but for those whose name begins with one of `excepted`."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith(excepted):
            with suppress(FileNotFoundError):
                found[str(path.relative_to(folder))] = path.read_bytes()
    return found


@dataclass
class Watched:
    """A process under observation: its output, and what /proc showed of it while it ran.

    It may have those files open whose name begins with one of `asked_for`. `refused` are the places of which /proc did
    not let this account see anything, or not all.
    """

    command: Sequence[str | Path]
    environment: Mapping[str, str] = field(default_factory=dict)
    asked_for: tuple[str, ...] = ()
    seen: dict[str, set[bytes]] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    status: int | None = None

    def run(self, stdin: bytes = b"", until: Callable[[], bool] = lambda: True) -> dict[str, bytes]:
        """Run it to its end. What was seen, by where. Its standard input ends only when `until()` holds."""
        process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **self.environment},
        )
        stop = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(process.pid, stop))
        watcher.start()
        try:
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.write(stdin)
                process.stdin.flush()
            eventually("what is waited for was seen", lambda: process.poll() is not None or until())
            out, err = process.communicate(timeout=120)
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
            stop.set()
            watcher.join()
        self.status = process.returncode
        return {"stdout": out, "stderr": err, **self.so_far()}

    def so_far(self) -> dict[str, bytes]:
        """What /proc has shown up to now, by where."""
        return {place: b"\n".join(tuple(contents)) for place, contents in tuple(self.seen.items())}

    def _watch(self, pid: int, stop: threading.Event) -> None:
        while not stop.is_set():
            for place, content in in_proc(pid, self.asked_for, self.refused).items():
                # A file that grows is seen time and again, nearly the same: what is new of it is kept.
                pieces = (content[start : start + PAGE + LONGEST] for start in range(0, max(len(content), 1), PAGE))
                self.seen.setdefault(place, set()).update(pieces)
            stop.wait(0.02)


def may(capability: int) -> bool:
    """Whether this process has a capability of Linux, by its number: root in a container has not all of them."""
    status = Path("/proc/self/status").read_text()
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> capability & 1)


def in_proc(pid: int, asked_for: tuple[str, ...] = (), refused: set[str] | None = None) -> dict[str, bytes]:
    """What /proc shows of a process: arguments, environment, and the data files it has open or mapped, deleted or not.

    Programs and libraries are not read: they are everybody's; nor what it was `asked_for`. What may not be seen is
    added to `refused`.
    """
    proc = Path(f"/proc/{pid}")
    found = {}
    refused = set() if refused is None else refused
    for name in ("cmdline", "environ"):
        place = f"/proc/PID/{name}"
        with _passing(place, refused):
            found[place] = (proc / name).read_bytes()
    for name in ("fd", "map_files"):
        place = f"/proc/PID/{name}"
        with _passing(place, refused):
            contents = []
            for link in (proc / name).iterdir():
                with _passing(place, refused):
                    content = _content(link, asked_for)
                    contents.append(content + b"\n" * (-len(content) % PAGE or PAGE))
            found[place] = b"".join(contents)
    return found


@contextmanager
def _passing(place: str, refused: set[str]) -> Iterator[None]:
    """What has ended meanwhile is not there to be seen; what is there and may not be seen is noted."""
    try:
        yield
    except PermissionError:
        refused.add(place)
    except OSError:
        pass


_SYSTEM: Final = ("/usr", "/lib", "/dev", "/proc", "/sys", "/etc", sys.base_prefix, sys.prefix)


def _content(link: Path, asked_for: tuple[str, ...]) -> bytes:
    """The file behind a link of /proc, which leads there even when it is deleted."""
    target = link.readlink()
    if link.is_file() and not str(target).startswith(_SYSTEM) and not target.name.startswith(asked_for or ("\0",)):
        return link.read_bytes()[: 1 << 24]
    return b""
