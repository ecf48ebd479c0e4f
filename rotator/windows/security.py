"""Security descriptors of Windows, through advapi32 and kernel32: read as SDDL, and given to what is made.

No decision is made here: see rotator.windows.access.
"""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import wintypes
from pathlib import Path
from typing import Any, Final


assert sys.platform == "win32"  # noqa: S101 - imported there alone; it tells mypy so


_SE_FILE_OBJECT: Final = 1
_OWNER_AND_LIST: Final = 0x1 | 0x4
"""OWNER_SECURITY_INFORMATION and DACL_SECURITY_INFORMATION."""
_REVISION: Final = 1
_TOKEN_QUERY: Final = 0x8
_TOKEN_USER: Final = 1
_GENERIC_WRITE: Final = 0x40000000
_CREATE_NEW: Final = 1
_NORMAL: Final = 0x80
_INVALID_HANDLE: Final = ctypes.c_void_p(-1).value
_INSUFFICIENT_BUFFER: Final = 122

_advapi32: Final = ctypes.WinDLL("advapi32", use_last_error=True)
_kernel32: Final = ctypes.WinDLL("kernel32", use_last_error=True)


class _Attributes(ctypes.Structure):
    """SECURITY_ATTRIBUTES."""

    _fields_ = (("length", wintypes.DWORD), ("descriptor", ctypes.c_void_p), ("inherit", wintypes.BOOL))


def _declared(library: ctypes.WinDLL, name: str, result: Any, *arguments: Any) -> Any:  # noqa: ANN401 - ctypes types
    function = getattr(library, name)
    function.restype, function.argtypes = result, arguments
    return function


_P, _PP = ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)
_DWORD, _PDWORD, _BOOL, _TEXT = wintypes.DWORD, ctypes.POINTER(wintypes.DWORD), wintypes.BOOL, wintypes.LPCWSTR
_get_named: Final = _declared(
    _advapi32, "GetNamedSecurityInfoW", _DWORD, _TEXT, ctypes.c_int, _DWORD, _PP, _PP, _PP, _PP, _PP
)
_to_text: Final = _declared(
    _advapi32, "ConvertSecurityDescriptorToStringSecurityDescriptorW", _BOOL, _P, _DWORD, _DWORD, _PP, _PDWORD
)
_from_text: Final = _declared(
    _advapi32, "ConvertStringSecurityDescriptorToSecurityDescriptorW", _BOOL, _TEXT, _DWORD, _PP, _PDWORD
)
_sid_to_text: Final = _declared(_advapi32, "ConvertSidToStringSidW", _BOOL, _P, _PP)
_sid_from_text: Final = _declared(_advapi32, "ConvertStringSidToSidW", _BOOL, _TEXT, _PP)
_lookup: Final = _declared(
    _advapi32,
    "LookupAccountSidW",
    _BOOL,
    _TEXT,
    _P,
    wintypes.LPWSTR,
    _PDWORD,
    wintypes.LPWSTR,
    _PDWORD,
    _PDWORD,
)
_open_token: Final = _declared(_advapi32, "OpenProcessToken", _BOOL, wintypes.HANDLE, _DWORD, _PP)
_token: Final = _declared(_advapi32, "GetTokenInformation", _BOOL, wintypes.HANDLE, ctypes.c_int, _P, _DWORD, _PDWORD)
_process: Final = _declared(_kernel32, "GetCurrentProcess", wintypes.HANDLE)
_close: Final = _declared(_kernel32, "CloseHandle", _BOOL, wintypes.HANDLE)
_free: Final = _declared(_kernel32, "LocalFree", _P, _P)
_make_folder: Final = _declared(_kernel32, "CreateDirectoryW", _BOOL, _TEXT, ctypes.POINTER(_Attributes))
_make_file: Final = _declared(
    _kernel32,
    "CreateFileW",
    wintypes.HANDLE,
    _TEXT,
    _DWORD,
    _DWORD,
    ctypes.POINTER(_Attributes),
    _DWORD,
    _DWORD,
    wintypes.HANDLE,
)


class Advapi:
    """Implements access_lists.Security. Every method raises OSError with what Windows said."""

    def descriptor(self, path: Path) -> str:
        """Owner and access list of a file or folder, as SDDL."""
        found = _P()
        code = _get_named(str(path), _SE_FILE_OBJECT, _OWNER_AND_LIST, None, None, None, None, ctypes.byref(found))
        if code:
            raise ctypes.WinError(code)
        return _told(found)

    def me(self) -> str:
        """The account of this process: a SID, or the letters that descriptors have for it."""
        identity = self._sid_of_process()
        # A round trip gives the name that every other descriptor on this machine has for it, as LA.
        with _descriptor(f"O:{identity}") as made:
            return _text_of(made).removeprefix("O:")

    def name(self, sid: str) -> str:
        r"""`DOMAIN\account` for a SID or the letters SDDL has for it; the SID itself where nobody knows it."""
        found = _P()
        if not _sid_from_text(sid, ctypes.byref(found)):
            return sid
        try:
            name, domain = ctypes.create_unicode_buffer(256), ctypes.create_unicode_buffer(256)
            sizes = _DWORD(256), _DWORD(256)
            kind = _DWORD()
            known = _lookup(
                None, found, name, ctypes.byref(sizes[0]), domain, ctypes.byref(sizes[1]), ctypes.byref(kind)
            )
            return f"{domain.value}\\{name.value}".removeprefix("\\") if known else sid
        finally:
            _free(found)

    def make_folder(self, path: Path, descriptor: str) -> None:
        """A new folder that has this access list from the first instant."""
        with _attributes(descriptor) as attributes:
            if not _make_folder(str(path), ctypes.byref(attributes)):
                raise ctypes.WinError(ctypes.get_last_error())

    def make_file(self, path: Path, descriptor: str) -> int:
        """A new file with this access list, opened for writing by nobody else: its descriptor, in binary mode."""
        import msvcrt  # noqa: PLC0415 - on Windows alone

        with _attributes(descriptor) as attributes:
            handle = _make_file(str(path), _GENERIC_WRITE, 0, ctypes.byref(attributes), _CREATE_NEW, _NORMAL, None)
            if handle in (None, _INVALID_HANDLE):
                raise ctypes.WinError(ctypes.get_last_error())
        return msvcrt.open_osfhandle(handle, os.O_WRONLY | os.O_BINARY)

    def _sid_of_process(self) -> str:
        token = _P()
        if not _open_token(_process(), _TOKEN_QUERY, ctypes.byref(token)):
            raise ctypes.WinError(ctypes.get_last_error())
        try:
            size = _DWORD()
            if not _token(token, _TOKEN_USER, None, 0, ctypes.byref(size)):
                code = ctypes.get_last_error()
                if code != _INSUFFICIENT_BUFFER:
                    raise ctypes.WinError(code)
            buffer = ctypes.create_string_buffer(size.value)
            if not _token(token, _TOKEN_USER, buffer, size, ctypes.byref(size)):
                raise ctypes.WinError(ctypes.get_last_error())
            # TOKEN_USER begins with the pointer to the SID.
            text, sid = _P(), _P.from_buffer(buffer)
            if not _sid_to_text(sid, ctypes.byref(text)):
                raise ctypes.WinError(ctypes.get_last_error())
            return _taken(text)
        finally:
            _close(token)


def _told(descriptor: ctypes.c_void_p) -> str:
    try:
        return _text_of(descriptor)
    finally:
        _free(descriptor)


def _text_of(descriptor: ctypes.c_void_p) -> str:
    text = _P()
    if not _to_text(descriptor, _REVISION, _OWNER_AND_LIST, ctypes.byref(text), None):
        raise ctypes.WinError(ctypes.get_last_error())
    return _taken(text)


def _taken(text: ctypes.c_void_p) -> str:
    """The text that Windows allocated, which is freed."""
    try:
        return ctypes.wstring_at(text.value or 0)
    finally:
        _free(text)


@contextmanager
def _descriptor(text: str) -> Iterator[ctypes.c_void_p]:
    made = _P()
    if not _from_text(text, _REVISION, ctypes.byref(made), None):
        raise ctypes.WinError(ctypes.get_last_error())
    try:
        yield made
    finally:
        _free(made)


@contextmanager
def _attributes(text: str) -> Iterator[_Attributes]:
    with _descriptor(text) as made:
        yield _Attributes(ctypes.sizeof(_Attributes), made, False)
