"""Who may read or change a file, decided from its security descriptor in SDDL. Pure: no call of Windows.

The language is that of [MS-DTYP] 2.5.1 and of Microsoft's pages "ACE Strings" and "SID Strings". What is not
understood is never taken for harmless.
"""

from dataclasses import dataclass
from enum import IntFlag
from typing import Final


SYSTEM: Final = "S-1-5-18"
ADMINISTRATORS: Final = "S-1-5-32-544"
CREATOR_OWNER: Final = "S-1-3-0"
OWNER_RIGHTS: Final = "S-1-3-4"
EVERYONE: Final = "S-1-1-0"

_SIDS: Final = {
    "AN": "S-1-5-7",
    "AO": "S-1-5-32-548",
    "AU": "S-1-5-11",
    "BA": ADMINISTRATORS,
    "BG": "S-1-5-32-546",
    "BO": "S-1-5-32-551",
    "BU": "S-1-5-32-545",
    "CG": "S-1-3-1",
    "CO": CREATOR_OWNER,
    "IU": "S-1-5-4",
    "LS": "S-1-5-19",
    "NS": "S-1-5-20",
    "NU": "S-1-5-2",
    "OW": OWNER_RIGHTS,
    "PU": "S-1-5-32-547",
    "SU": "S-1-5-6",
    "SY": SYSTEM,
    "WD": EVERYONE,
}
"""The two letters that SDDL has for accounts of every machine. Those of a domain (LA, DA, DU …) stay as they are:
Windows writes them the same way in every descriptor."""


class Right(IntFlag):
    """The bits of an access mask that matter here, as files and folders use them (winnt.h)."""

    READ_DATA = 0x1
    WRITE_DATA = 0x2
    APPEND_DATA = 0x4
    WRITE_EXTENDED = 0x10
    DELETE_CHILD = 0x40
    WRITE_ATTRIBUTES = 0x100
    DELETE = 0x10000
    WRITE_DAC = 0x40000
    WRITE_OWNER = 0x80000
    GENERIC_ALL = 0x10000000
    GENERIC_WRITE = 0x40000000
    GENERIC_READ = 0x80000000


CHANGE: Final = (
    Right.WRITE_DATA
    | Right.APPEND_DATA
    | Right.WRITE_EXTENDED
    | Right.DELETE_CHILD
    | Right.WRITE_ATTRIBUTES
    | Right.DELETE
    | Right.WRITE_DAC
    | Right.WRITE_OWNER
    | Right.GENERIC_ALL
    | Right.GENERIC_WRITE
)
"""Every right by which content, name or access list can be changed."""
USE: Final = CHANGE | Right.READ_DATA | Right.GENERIC_READ
"""The same, and reading: what nobody else may do with a secret."""

_RIGHTS: Final = {
    "GA": 0x10000000,
    "GX": 0x20000000,
    "GW": 0x40000000,
    "GR": 0x80000000,
    "SD": 0x10000,
    "RC": 0x20000,
    "WD": 0x40000,
    "WO": 0x80000,
    "CC": 0x1,
    "DC": 0x2,
    "LC": 0x4,
    "SW": 0x8,
    "RP": 0x10,
    "WP": 0x20,
    "DT": 0x40,
    "LO": 0x80,
    "CR": 0x100,
    "FA": 0x1F01FF,
    "FR": 0x120089,
    "FW": 0x120116,
    "FX": 0x1200A0,
}
_ALLOW: Final = ("A", "OA", "XA", "ZA")
"""Kinds of entries that allow; conditions (XA, ZA) are taken as met."""
_DENY: Final = ("D", "OD", "XD", "ZD")
"""Kinds of entries that deny. They are passed over: a denial binds one group while another lets its members in, and is
not handed on as the allowance beside it is. So a folder may be refused that is safe, and none is taken that is not."""
_ACE_FIELDS: Final = 6


class NotUnderstood(Exception):
    """A descriptor that this module cannot read."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who owns a file, and who besides owner, Administrators and SYSTEM may use it: SIDs, sorted.

    `trusted_owner` says whether the owner is the account itself, Administrators or SYSTEM.
    """

    owner: str
    trusted_owner: bool
    others: tuple[str, ...]


def access(descriptor: str, me: str, rights: Right) -> Access:
    """Who may do any of `rights`, as a descriptor in SDDL tells it to the account `me` (a SID, or what SDDL has for it).

    Entries that folders hand on to what is made in them count too: it will be as open. A descriptor without an access
    list (FAT) or with none (a null DACL) is open to everyone; an empty one to nobody. Raises NotUnderstood.
    """
    owner, entries = _parsed(descriptor)
    trusted = {sid(me), ADMINISTRATORS, SYSTEM}
    if entries is None:
        return Access(owner, owner in trusted, (EVERYONE,))
    others = {trustee for kind, mask, trustee in entries if kind in _ALLOW and mask & rights}
    return Access(owner, owner in trusted, tuple(sorted(others - trusted - {CREATOR_OWNER, OWNER_RIGHTS})))


def private(me: str, *, folder: bool) -> str:
    """The descriptor of a new private file or folder: this account, Administrators, SYSTEM; nothing inherited."""
    flags = "OICI" if folder else ""
    return "D:P" + "".join(f"(A;{flags};FA;;;{trustee})" for trustee in dict.fromkeys((me, "SY", "BA")))


def sid(name: str) -> str:
    """A SID as S-1-…, where SDDL has two letters for it; what belongs to a domain stays as it is."""
    return _SIDS.get(name, name)


def _parsed(descriptor: str) -> tuple[str, list[tuple[str, int, str]] | None]:
    """The owner, and the entries of the access list: kind, mask, trustee. None for the entries: there is no list."""
    parts = _parts(descriptor)
    owner = parts.get("O", "")
    if not owner:
        raise NotUnderstood("no owner")
    if "D" not in parts:
        return sid(owner), None
    flags, opened, _ = parts["D"].partition("(")
    if "NO_ACCESS_CONTROL" in flags:
        return sid(owner), None
    if flags.replace("AI", "").replace("AR", "").replace("P", ""):
        raise NotUnderstood(f"flags {flags}")
    return sid(owner), [_entry(text) for text in _entries(parts["D"])] if opened else []


def _parts(descriptor: str) -> dict[str, str]:
    """The parts O, G, D and S, by their letter. A colon outside of entries ends the letter before it."""
    parts: dict[str, str] = {}
    depth, letter, start = 0, "", 0
    for index, character in enumerate(descriptor):
        depth += (character == "(") - (character == ")")
        if character == ":" and depth == 0:
            if index == 0 or descriptor[index - 1] not in "OGDS":
                raise NotUnderstood("a part without a name")
            if letter:
                parts[letter] = descriptor[start : index - 1]
            letter, start = descriptor[index - 1], index + 1
    if depth or not letter:
        raise NotUnderstood("cut short")
    parts[letter] = descriptor[start:]
    return parts


def _entries(text: str) -> list[str]:
    """What stands between each outer pair of parentheses; conditions have parentheses of their own."""
    found, depth, start = [], 0, 0
    for index, character in enumerate(text):
        if character == "(":
            depth += 1
            if depth == 1:
                start = index + 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                found.append(text[start:index])
    return found


def _entry(text: str) -> tuple[str, int, str]:
    """`type;flags;rights;object;inherited object;trustee[;condition]`."""
    fields = text.split(";", _ACE_FIELDS)
    if len(fields) < _ACE_FIELDS or fields[0] not in (*_ALLOW, *_DENY):
        raise NotUnderstood(f"entry ({text})")
    return fields[0], _mask(fields[2]), sid(fields[5])


def _mask(text: str) -> int:
    if text[:2].lower() == "0x" or text.isdigit():
        try:
            return int(text, 0)
        except ValueError:
            raise NotUnderstood(f"rights {text}") from None
    mask = 0
    for index in range(0, len(text), 2):
        right = _RIGHTS.get(text[index : index + 2])
        if right is None:
            raise NotUnderstood(f"rights {text}")
        mask |= right
    return mask
