"""CryptProtectData and CryptUnprotectData, through crypt32."""

import ctypes
import sys
from ctypes import wintypes
from typing import Any, Final


assert sys.platform == "win32"  # noqa: S101 - imported there alone; it tells mypy so

_crypt32: Final = ctypes.WinDLL("crypt32", use_last_error=True)
_kernel32: Final = ctypes.WinDLL("kernel32", use_last_error=True)
_NO_QUESTIONS: Final = 0x1
"""CRYPTPROTECT_UI_FORBIDDEN: fail rather than open a window that nobody sees."""
_LOCAL_MACHINE: Final = 0x4
"""CRYPTPROTECT_LOCAL_MACHINE."""


class _Blob(ctypes.Structure):
    """DATA_BLOB."""

    _fields_ = (("size", wintypes.DWORD), ("data", ctypes.c_void_p))


_PBLOB: Final = ctypes.POINTER(_Blob)
_protect: Any = _crypt32.CryptProtectData
_protect.restype = wintypes.BOOL
_protect.argtypes = (
    _PBLOB,
    wintypes.LPCWSTR,
    _PBLOB,
    ctypes.c_void_p,
    ctypes.c_void_p,
    wintypes.DWORD,
    _PBLOB,
)
_unprotect: Any = _crypt32.CryptUnprotectData
_unprotect.restype = wintypes.BOOL
_unprotect.argtypes = (
    _PBLOB,
    ctypes.c_void_p,
    _PBLOB,
    ctypes.c_void_p,
    ctypes.c_void_p,
    wintypes.DWORD,
    _PBLOB,
)
_free: Any = _kernel32.LocalFree
_free.restype, _free.argtypes = ctypes.c_void_p, (ctypes.c_void_p,)


def protect(data: bytes, entropy: bytes, description: str, *, machine: bool) -> bytes:
    """The data as only this account, or this machine, opens it. Raises OSError with what Windows said."""
    flags = _NO_QUESTIONS | (_LOCAL_MACHINE if machine else 0)
    (given, _first), (extra, _second), made = _blob(data), _blob(entropy), _Blob()
    if not _protect(ctypes.byref(given), description, ctypes.byref(extra), None, None, flags, ctypes.byref(made)):
        raise ctypes.WinError(ctypes.get_last_error())
    return _taken(made)


def unprotect(data: bytes, entropy: bytes) -> bytes:
    """What `protect` was given. Raises OSError with what Windows said."""
    (given, _first), (extra, _second), made = _blob(data), _blob(entropy), _Blob()
    if not _unprotect(ctypes.byref(given), None, ctypes.byref(extra), None, None, _NO_QUESTIONS, ctypes.byref(made)):
        raise ctypes.WinError(ctypes.get_last_error())
    return _taken(made)


def _blob(data: bytes) -> tuple[_Blob, object]:
    """The structure, and the buffer that must live as long."""
    buffer = ctypes.create_string_buffer(data, len(data))
    return _Blob(len(data), ctypes.cast(buffer, ctypes.c_void_p)), buffer


def _taken(made: _Blob) -> bytes:
    """The bytes that Windows allocated; its copy is wiped and freed."""
    try:
        return ctypes.string_at(made.data, made.size)
    finally:
        ctypes.memset(made.data, 0, made.size)
        _free(made.data)
