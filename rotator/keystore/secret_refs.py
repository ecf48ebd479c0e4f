"""Secrets that the configuration refers to: `credential:NAME`, `file:PATH`, `keyring:NAME`, `dpapi:PATH`."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from rotator import invocation
from rotator.errors import SecretUnavailable
from rotator.model import SecretKind, SecretRef
from rotator.ownership import Use, guard
from rotator.ports import SecretStore


LARGEST: Final = 64 * 1024
"""Bytes of a secret: an RSA key of 16,384 bits in PEM has 13 KB."""
_VARIABLE: Final = "CREDENTIALS_DIRECTORY"


def item(name: str) -> str:
    """The keyring's item of `keyring:NAME`."""
    return f"secret/{name}"


def read(reference: SecretRef, environ: Mapping[str, str], store: SecretStore | None = None) -> bytes:
    """The bytes of a secret. Raises SecretUnavailable, naming the reference and what to do, never the secret."""
    match reference.kind:
        case SecretKind.CREDENTIAL:
            return _credential(reference, environ)
        case SecretKind.FILE:
            return _file(reference, Path(reference.name), private=True)
        case SecretKind.DPAPI:
            return _unprotected(reference)
        case SecretKind.KEYRING:
            text = store.get(item(reference.name)) if store else None
            if text is None:
                raise SecretUnavailable(
                    f"{reference}: the keyring has no such secret",
                    hint=f"store it: rotator keys store-secret {reference.name}, or use file:PATH or credential:NAME",
                )
            return text.encode("utf-8")


def read_text(reference: SecretRef, environ: Mapping[str, str], store: SecretStore | None = None) -> str:
    """A password: the secret as text, without the line end that editors add. Raises SecretUnavailable."""
    try:
        return read(reference, environ, store).decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise SecretUnavailable(f"{reference}: is not text in UTF-8") from None


def _credential(reference: SecretRef, environ: Mapping[str, str]) -> bytes:
    folder = environ.get(_VARIABLE)
    if not folder:
        raise SecretUnavailable(
            f"{reference}: there are no credentials here (${_VARIABLE} is not set): they exist inside a systemd service",
            hint=f"as root, run it with them: {invocation.with_credential(reference.name)}",
        )
    path = Path(folder) / reference.name
    if not path.exists():
        raise SecretUnavailable(
            f"{reference}: this service was not given it",
            hint=f"systemctl edit its unit: under [Service] {invocation.credential(reference.name)}",
        )
    return _file(reference, path, private=False)


def _file(reference: SecretRef, path: Path, *, private: bool) -> bytes:
    """The content; `private` demands that its owner alone can read it. systemd guards its credentials itself."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            if private:
                _check(reference, path, file.fileno())
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise SecretUnavailable(
            f"{reference}: {_beside(reference, path)}cannot be read: {error.strerror}",
            hint="see that it is there and readable by this account",
        ) from None
    if len(data) > LARGEST:
        raise SecretUnavailable(f"{reference}: {_beside(reference, path)}is too large for a secret")
    return data


def _beside(reference: SecretRef, path: Path) -> str:
    """The path, where the reference does not hold it."""
    return "" if reference.name == str(path) else f"{path} "


def _check(reference: SecretRef, path: Path, opened: int) -> None:
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        raise SecretUnavailable(f"{reference}: is not a file")
    fault = guard().fault(path, Use.PRIVATE, administrator=True, follow=True, opened=opened)
    if fault is not None:
        raise SecretUnavailable(f"{reference}: {fault.said}", hint=fault.hint)


def _unprotected(reference: SecretRef) -> bytes:
    from rotator.windows.dpapi import Refused, unprotected  # noqa: PLC0415 - for those who use it

    try:
        return unprotected(lambda: _file(reference, Path(reference.name), private=True))
    except Refused as refused:
        raise SecretUnavailable(f"{reference}: {refused.cause}", hint=refused.hint) from None
