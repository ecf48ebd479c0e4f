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
from windows_libraries import Windows, win_error


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> Iterator[Windows]:
    made = Windows()
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
