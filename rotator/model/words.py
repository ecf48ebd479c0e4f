"""The words that every other room uses: fingerprints, users, JSON."""

from dataclasses import dataclass
from datetime import datetime
from typing import NewType, overload


Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]
"""What a JSON document holds."""

Fingerprint = NewType("Fingerprint", str)
"""SHA-256 of a public key's SubjectPublicKeyInfo (RFC 5280, 4.1.2.7), 64 lower-case hex digits."""

Digest = NewType("Digest", str)
"""SHA-256 of a certificate's exact text, 64 lower-case hex digits: the name under which the keyring keeps that text."""


@overload
def utc(moment: datetime) -> str: ...


@overload
def utc(moment: None) -> None: ...


def utc(moment: datetime | None) -> str | None:
    """A time (UTC) as scripts read it, cut to seconds: 2026-01-31T02:00:00Z (RFC 3339)."""
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def short(fingerprint: str) -> str:
    """The fingerprint as people see it: its first 12 hex digits."""
    return fingerprint[:12]


def counted(number: int, one: str, many: str = "") -> str:
    """A number of things as people read it: `1 key`, `2 keys`; `many` where that is not `one` with an s."""
    return f"{number} {one if number == 1 else many or f'{one}s'}"


@dataclass(frozen=True, slots=True)
class User:
    r"""A Qlik user. Shown as `DIRECTORY\id`; Qlik compares both without regard to case."""

    directory: str
    id: str

    def __str__(self) -> str:
        return f"{self.directory}\\{self.id}"

    def same_as(self, other: "User") -> bool:
        """Whether Qlik would take both for one user."""
        mine, theirs = (self.directory, self.id), (other.directory, other.id)
        return tuple(map(str.casefold, mine)) == tuple(map(str.casefold, theirs))
