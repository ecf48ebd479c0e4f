"""Secrets that Windows protects (DPAPI): a file that only this account or only this machine opens."""

import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Final, Protocol


ENTROPY: Final = b"rotator dpapi 1"
"""Bound into every file, so that what another program protected does not pass for rotator's, nor the other way round.
It is no secret."""
_DESCRIPTION: Final = "rotator"

_PROTECT_AGAIN: Final = "rotator keys master-key --dpapi FILE --from COPY"
_OTHERS: Final = (
    "it was protected for another account or on another machine",
    f"protect a copy of the same master key where it is used, as the account that uses it: {_PROTECT_AGAIN}",
)
_DAMAGED: Final = (
    "it is damaged, or was not protected by rotator",
    f"restore it from a backup, or protect a copy of the same master key anew: {_PROTECT_AGAIN}",
)
_NO_PROFILE: Final = (
    "the account's own keys are not loaded: this is a logon without a password (S4U), or without its profile",
    "protect it with --scope machine, or let the task log on with its password",
)
_EXPLAINED: Final = {
    0x2: _NO_PROFILE,  # ERROR_FILE_NOT_FOUND
    0xD: _DAMAGED,  # ERROR_INVALID_DATA
    0x57: _DAMAGED,  # ERROR_INVALID_PARAMETER
    0x52F: _NO_PROFILE,  # ERROR_ACCOUNT_RESTRICTION
    0x80090003: _OTHERS,  # NTE_BAD_KEY
    0x80090005: _DAMAGED,  # NTE_BAD_DATA
    0x8009000B: _OTHERS,  # NTE_BAD_KEY_STATE
    0x80090016: _NO_PROFILE,  # NTE_BAD_KEYSET
    0x80090345: _NO_PROFILE,  # SEC_E_DELEGATION_REQUIRED
}


class Scope(StrEnum):
    """Who opens a protected file."""

    MACHINE = "machine"
    """Every account of this machine that may read the file."""
    USER = "user"
    """The account that protected it, where it logs on with its password."""


class Refused(Exception):
    """Windows did not open, or did not protect. Says why, and what to do."""

    def __init__(self, cause: str, hint: str) -> None:
        super().__init__(cause)
        self.cause = cause
        self.hint = hint


def explained(error: OSError) -> Refused:
    """What an error of CryptProtectData or CryptUnprotectData means, by its number in winerror.h."""
    number = int(getattr(error, "winerror", 0) or 0) & 0xFFFFFFFF
    cause, hint = _EXPLAINED.get(
        number,
        (f"Windows does not open it (error {number:#x})", "see that the account's profile is loaded, and try again"),
    )
    return Refused(cause, hint)


class Border(Protocol):
    """What Windows is asked for: see rotator.windows.crypt32. Both raise OSError."""

    def protect(self, data: bytes, entropy: bytes, description: str, *, machine: bool) -> bytes:
        """CryptProtectData."""

    def unprotect(self, data: bytes, entropy: bytes) -> bytes:
        """CryptUnprotectData."""


def border() -> Border:
    """Windows. Raises Refused elsewhere."""
    if sys.platform == "win32":
        from rotator.windows import crypt32  # noqa: PLC0415 - there alone

        return crypt32
    raise Refused("DPAPI exists on Windows alone", "use credential:NAME of a systemd unit, or file:PATH")


def protected(data: bytes, scope: Scope) -> bytes:
    """The data as `scope` opens it. Raises Refused."""
    windows = border()
    try:
        return windows.protect(data, ENTROPY, _DESCRIPTION, machine=scope is Scope.MACHINE)
    except OSError as error:
        raise explained(error) from None


def unprotected(read: Callable[[], bytes]) -> bytes:
    """What was protected; `read` gives the file, once it is known that Windows is there. Raises Refused."""
    windows = border()
    data = read()
    try:
        return windows.unprotect(data, ENTROPY)
    except OSError as error:
        raise explained(error) from None
