# ruff: noqa: N802 - functions have the names that Windows gave them
"""The calls of Windows, against libraries that are stand-ins: arguments, errors, and that what Windows allocates is freed."""

import ctypes
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rotator import durable
from rotator.errors import KeyStoreUnavailable
from rotator.keystore.sealed_file import SealedFiles


SID = "S-1-5-21-1-2-3-500"


class Function:
    """A function of a library, which ctypes lets declare its types."""

    def __init__(self, call: Any) -> None:
        self.call = call
        self.argtypes: tuple[Any, ...] = ()
        self.restype: Any = None

    def __call__(self, *arguments: Any) -> Any:
        assert len(arguments) == len(self.argtypes)
        return self.call(*arguments)


class Windows:
    """advapi32, kernel32 and crypt32 as far as rotator calls them. `memory` is what LocalFree must be called for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.memory: dict[int, Any] = {}
        self.failing: dict[str, int] = {}
        self.error = 0
        self.made: dict[str, tuple[str, Any]] = {}
        self.closed: list[int] = []

    def library(self, name: str, use_last_error: bool = False) -> Any:
        assert use_last_error or name == "kernel32"
        return self

    def __getattr__(self, name: str) -> Function:
        call = getattr(type(self), f"do_{name}", None)
        if call is None:
            raise AttributeError(name)

        def called(*arguments: Any) -> Any:
            if name in self.failing:
                self.error = self.failing[name]
                failed = {"GetNamedSecurityInfoW": self.error, "CreateFileW": ctypes.c_void_p(-1).value}
                return failed.get(name, 0)
            return call(self, *arguments)

        function = Function(called)
        self.__dict__[name] = function
        return function

    def allocated(self, content: Any) -> int:
        address = ctypes.addressof(content)
        self.memory[address] = content
        return address

    def text(self, text: str) -> int:
        return self.allocated(ctypes.create_unicode_buffer(text))

    def do_GetNamedSecurityInfoW(
        self, path: str, kind: int, what: int, o: Any, g: Any, d: Any, s: Any, out: Any
    ) -> int:
        assert (kind, what, o, g, d, s) == (1, 5, None, None, None, None)
        out._obj.value = self.text(f"O:LAD:P(A;;FA;;;{Path(path).name})")
        return 0

    def do_ConvertSecurityDescriptorToStringSecurityDescriptorW(
        self, descriptor: Any, revision: int, what: int, out: Any, length: Any
    ) -> int:
        assert (revision, what, length) == (1, 5, None)
        out._obj.value = self.text(self.memory[descriptor.value].value.replace(SID, "LA"))
        return 1

    def do_ConvertStringSecurityDescriptorToSecurityDescriptorW(
        self, text: str, revision: int, out: Any, size: Any
    ) -> int:
        assert (revision, size) == (1, None)
        out._obj.value = self.text(text)
        return 1

    def do_ConvertSidToStringSidW(self, sid: Any, out: Any) -> int:
        assert sid.value == 4711
        out._obj.value = self.text(SID)
        return 1

    def do_ConvertStringSidToSidW(self, text: str, out: Any) -> int:
        out._obj.value = self.text(text)
        return 1

    def do_LookupAccountSidW(self, host: Any, sid: Any, name: Any, n: Any, domain: Any, d: Any, kind: Any) -> int:
        assert (host, n._obj.value, d._obj.value) == (None, 256, 256)
        if self.memory[sid.value].value == "S-1-1-0":
            name.value = "Everyone"
            return 1
        name.value, domain.value = "Administrator", "QLIK1"
        return 1

    def do_GetCurrentProcess(self) -> int:
        return -1

    def do_OpenProcessToken(self, process: int, rights: int, out: Any) -> int:
        assert (process, rights) == (-1, 8)
        out._obj.value = 99
        return 1

    def do_GetTokenInformation(self, token: Any, what: int, buffer: Any, size: Any, out: Any) -> int:
        assert (token.value, what) == (99, 1)
        out._obj.value = 44
        if buffer is None:
            self.error = 122
            return 0
        assert (len(buffer), size.value) == (44, 44)
        ctypes.c_void_p.from_buffer(buffer).value = 4711
        return 1

    def do_CloseHandle(self, handle: Any) -> int:
        self.closed.append(handle.value)
        return 1

    def do_LocalFree(self, pointer: Any) -> int:
        # Freed twice is an error here too.
        del self.memory[getattr(pointer, "value", pointer)]
        return 0

    def do_CreateDirectoryW(self, path: str, attributes: Any) -> int:
        self.made[path] = (self.memory[attributes._obj.descriptor].value, attributes._obj.inherit)
        return 1

    def do_CreateFileW(
        self, path: str, access: int, share: int, attributes: Any, how: int, flags: int, template: Any
    ) -> int:
        assert (access, share, how, flags, template) == (0x40000000, 0, 1, 0x80, None)
        self.made[path] = (self.memory[attributes._obj.descriptor].value, attributes._obj.inherit)
        return 5

    def _data(self, blob: Any) -> bytes:
        return ctypes.string_at(blob._obj.data, blob._obj.size)

    def _give(self, out: Any, data: bytes) -> int:
        out._obj.size, out._obj.data = len(data), self.allocated(ctypes.create_string_buffer(data, len(data)))
        return 1

    def do_CryptProtectData(self, data: Any, said: str, entropy: Any, r: Any, prompt: Any, flags: int, out: Any) -> int:
        assert (said, r, prompt) == ("rotator", None, None)
        return self._give(out, bytes([flags]) + self._data(entropy) + self._data(data))

    def do_CryptUnprotectData(
        self, data: Any, said: Any, entropy: Any, r: Any, prompt: Any, flags: int, out: Any
    ) -> int:
        assert (said, r, prompt, flags) == (None, None, None, 1)
        return self._give(out, self._data(data)[1:].removeprefix(self._data(entropy)))


def win_error(code: int) -> OSError:
    kind = {5: PermissionError, 183: FileExistsError}.get(code, OSError)
    error = kind(22, f"Windows says {code}")
    error.winerror = code  # type: ignore[attr-defined]
    return error


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Windows]:
    made = Windows(tmp_path)
    opened = ModuleType("msvcrt")
    opened.open_osfhandle = lambda handle, flags: (handle, flags)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "msvcrt", opened)
    monkeypatch.setattr(os, "O_BINARY", 0x8000, raising=False)
    monkeypatch.setattr(ctypes, "WinDLL", made.library, raising=False)
    monkeypatch.setattr(ctypes, "WinError", win_error, raising=False)
    monkeypatch.setattr(ctypes, "get_last_error", lambda: made.error, raising=False)
    yield made
    for name in ("rotator.windows.security", "rotator.windows.crypt32"):
        sys.modules.pop(name, None)
    assert made.memory == {}


def imported(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    with monkeypatch.context() as patched:
        patched.setattr(sys, "platform", "win32")
        return importlib.import_module(f"rotator.windows.{name}")


def test_descriptors_and_names_are_read(windows: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
    security = imported("security", monkeypatch).Advapi()
    assert security.descriptor(Path(r"/x/BA")) == "O:LAD:P(A;;FA;;;BA)"
    assert security.me() == "LA"
    assert windows.closed == [99]
    assert security.name("LA") == r"QLIK1\Administrator"
    assert security.name("S-1-1-0") == "Everyone"
    windows.failing = {"LookupAccountSidW": 1332}
    assert security.name("S-1-5-21-9") == "S-1-5-21-9"
    windows.failing = {"ConvertStringSidToSidW": 1337}
    assert security.name("??") == "??"


def test_files_and_folders_have_their_list_from_the_first_instant(
    windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    security = imported("security", monkeypatch).Advapi()
    security.make_folder(Path("/x/keys"), "D:P(A;;FA;;;SY)")
    assert security.make_file(Path("/x/key"), "D:P(A;;FA;;;BA)") == (5, os.O_WRONLY | 0x8000)
    assert windows.made == {"/x/keys": ("D:P(A;;FA;;;SY)", 0), "/x/key": ("D:P(A;;FA;;;BA)", 0)}


@pytest.mark.parametrize(
    ("failing", "call"),
    [
        ("GetNamedSecurityInfoW", lambda security: security.descriptor(Path("x"))),
        ("ConvertSecurityDescriptorToStringSecurityDescriptorW", lambda security: security.descriptor(Path("x"))),
        ("OpenProcessToken", lambda security: security.me()),
        ("GetTokenInformation", lambda security: security.me()),
        ("ConvertSidToStringSidW", lambda security: security.me()),
        ("ConvertStringSecurityDescriptorToSecurityDescriptorW", lambda security: security.me()),
        ("CreateDirectoryW", lambda security: security.make_folder(Path("x"), "D:")),
        ("CreateFileW", lambda security: security.make_file(Path("x"), "D:")),
    ],
)
def test_what_windows_refuses_is_an_error_that_leaks_nothing(
    windows: Windows, monkeypatch: pytest.MonkeyPatch, failing: str, call: Any
) -> None:
    security = imported("security", monkeypatch).Advapi()
    windows.failing = {failing: 5}
    with pytest.raises(PermissionError, match="Windows says 5"):
        call(security)


def test_what_is_protected_comes_back_and_nothing_is_left(windows: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
    crypt32 = imported("crypt32", monkeypatch)
    for machine, flags in ((True, 5), (False, 1)):
        blob = crypt32.protect(b"\0key\0", b"entropy", "rotator", machine=machine)
        assert blob == bytes([flags]) + b"entropy\0key\0"
        assert crypt32.unprotect(blob, b"entropy") == b"\0key\0"
    for name in ("CryptProtectData", "CryptUnprotectData"):
        windows.failing = {name: 13}
        with pytest.raises(OSError, match="Windows says 13"):
            crypt32.protect(b"", b"", "", machine=True) if "Un" not in name else crypt32.unprotect(b"x", b"")


def busy(code: int) -> PermissionError:
    error = PermissionError(13, "Permission denied")
    error.winerror = code  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize("code", durable.BUSY)
def test_a_file_that_somebody_reads_is_replaced_once_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    store = SealedFiles(tmp_path / "keys", bytes(32))
    store.set("item", "old")
    left = [busy(code), busy(code)]
    replace = Path.replace

    def refused(self: Path, target: Path) -> Path:
        if left:
            raise left.pop()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refused)
    store.set("item", "new")
    assert (store.get("item"), left) == ("new", [])


def test_patience_ends(tmp_path: Path) -> None:
    times = iter(range(100))

    def attempt() -> None:
        raise busy(32)

    pauses: list[float] = []
    with pytest.raises(PermissionError):
        durable.patiently(attempt, clock=lambda: next(times), pause=pauses.append)
    assert len(pauses) == durable.PATIENCE


def test_what_is_forbidden_is_not_tried_again() -> None:
    def attempt() -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(PermissionError):
        durable.patiently(attempt, pause=lambda _: pytest.fail("it waited"))


def test_a_store_that_stays_in_use_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SealedFiles(tmp_path / "keys", bytes(32))
    store.set("item", "old")

    def refused(self: Path, target: Path) -> Path:
        raise busy(33)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", refused)
        with pytest.raises(KeyStoreUnavailable):
            store.set("item", "new")
    assert store.get("item") == "old"
