"""Parsers of single values: each takes what TOML gave and returns the value, or raises Wrong with what is right."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from rotator.model import SYSTEM_CA, SecretKind, SecretRef, User


T = TypeVar("T")
Parser = Callable[[Any, Path], T]
"""Takes the TOML value and the folder of the configuration file, which relative paths are relative to."""


class Wrong(Exception):
    """A value that cannot be used; the text goes on from the key's name, as `must be …`."""


BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
"""A key that TOML takes without quotes; the names of tables are such."""
_DURATION: Final = re.compile(r"(\d+)([smhdw])")
_UNIT: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_LONGEST_LABEL: Final = 63
"""Characters of one part of a host name (RFC 1035, 2.3.4): Python looks no other up."""
_HOST: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_HIGHEST_PORT: Final = 65535


def kind(value: object) -> str:
    """The TOML type of a value, as a person calls it."""
    names: dict[type, str] = {bool: "a boolean", int: "an integer", float: "a float", str: "a string", list: "an array"}
    return names.get(type(value), "a table" if isinstance(value, dict) else "a date or time")


def text(value: object, _: Path) -> str:
    """A string that is not empty."""
    if not isinstance(value, str):
        raise Wrong(f"must be a string, not {kind(value)}")
    if not value.strip():
        raise Wrong("must not be empty")
    if any(not character.isprintable() for character in value):
        raise Wrong("must not hold line breaks or control characters")
    return value


def text_or_empty(value: object, base: Path) -> str:
    """A string."""
    return "" if value == "" else text(value, base)


def flag(value: object, _: Path) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise Wrong(f"must be true or false, not {kind(value)}")
    return value


def integer(lowest: int, highest: int) -> Parser[int]:
    """A whole number of a range."""

    def parse(value: object, _: Path) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise Wrong(f"must be a whole number, not {kind(value)}")
        if not lowest <= value <= highest:
            raise Wrong(f"must be from {lowest} to {highest}, not {value}")
        return value

    return parse


def one_of(choices: dict[Any, T], *, later: tuple[str, ...] = ()) -> Parser[T]:
    """One of the words or numbers; those of `later` are refused as not built yet."""

    def parse(value: object, _: Path) -> T:
        if isinstance(value, str) and value in later:
            raise Wrong(f'= "{value}" is not built yet in this version; {_choice(choices)}')
        if isinstance(value, bool) or not isinstance(value, str | int) or value not in choices:
            raise Wrong(f"must be {_choice(choices)}, not {shown(value)}")
        return choices[value]

    return parse


def _choice(choices: dict[Any, T]) -> str:
    words = [f'"{choice}"' if isinstance(choice, str) else str(choice) for choice in choices]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def shown(value: object) -> str:
    """A value as a message repeats it."""
    return f'"{value}"' if isinstance(value, str) else str(value) if isinstance(value, int | float) else kind(value)


def duration_of(value: str) -> timedelta | None:
    """`90s`, `30m`, `24h`, `30d`, `4w`, also together as `1h30m`; None for anything else."""
    matches = _DURATION.findall(value)
    if not matches or "".join(number + unit for number, unit in matches) != value:
        return None
    try:
        return timedelta(seconds=sum(int(number) * _UNIT[unit] for number, unit in matches))
    except OverflowError:
        return None


def duration(lowest: timedelta, highest: timedelta) -> Parser[timedelta]:
    """A length of time of a range."""

    def parse(value: object, _: Path) -> timedelta:
        length = duration_of(value) if isinstance(value, str) else None
        if length is None:
            raise Wrong(f'must be a duration as "30m", "24h" or "30d", not {shown(value)}')
        if not lowest <= length <= highest:
            raise Wrong(f'must be from {as_duration(lowest)} to {as_duration(highest)}, not "{value}"')
        return length

    return parse


def as_duration(length: timedelta) -> str:
    """A duration as the configuration writes it, in its largest whole unit."""
    total = int(length.total_seconds())
    unit = next(unit for unit in ("d", "h", "m", "s") if total % _UNIT[unit] == 0)
    return f"{total // _UNIT[unit]}{unit}"


def minutes(lowest: timedelta, highest: timedelta) -> Parser[timedelta]:
    """A duration of whole minutes, as Qlik keeps it."""
    inner = duration(lowest, highest)

    def parse(value: object, base: Path) -> timedelta:
        length = inner(value, base)
        if length.total_seconds() % 60:
            raise Wrong(f"must be whole minutes, not {shown(value)}")
        return length

    return parse


def path(value: object, base: Path) -> Path:
    """A file or folder; a relative one is relative to the configuration file's folder."""
    given = text(value, base)
    if given.startswith("~"):
        raise Wrong('must be a whole path: "~" is not expanded, since a service has no home')
    return base / given


def ca(value: object, base: Path) -> str:
    """A file of certificate authorities, or "system"."""
    return SYSTEM_CA if value == SYSTEM_CA else str(path(value, base))


def user(value: object, base: Path) -> User:
    r"""`DIRECTORY\id`."""
    directory, backslash, identity = text(value, base).partition("\\")
    if not (backslash and directory and identity) or "\\" in identity:
        raise Wrong(rf"must name directory and user, as 'CORP\alice' in single quotes, not {shown(value)}")
    return User(directory, identity)


def secret(value: object, base: Path) -> SecretRef:
    """`credential:NAME`, `keyring:NAME`, `file:PATH` or `dpapi:PATH`."""
    return _reference(value, base, '"credential:NAME", "keyring:NAME", "file:PATH" or "dpapi:PATH"')


def master_key(value: object, base: Path) -> SecretRef:
    """The same without `keyring:NAME`."""
    choice = '"credential:NAME", "file:PATH" or "dpapi:PATH"'
    reference = _reference(value, base, choice)
    if reference.kind is SecretKind.KEYRING:
        raise Wrong(f"must be {choice}: it opens the keyring, and cannot be in it")
    return reference


def _reference(value: object, base: Path, choice: str) -> SecretRef:
    word, colon, name = text(value, base).partition(":")
    if not colon or word not in [kind.value for kind in SecretKind] or not name:
        raise Wrong(f"must say where the secret is: {choice}; the secret itself never stands here")
    reference = SecretRef(SecretKind(word), name)
    if reference.kind in (SecretKind.FILE, SecretKind.DPAPI):
        return SecretRef(reference.kind, str(path(name, base)))
    if "/" in name:
        raise Wrong(f'must be a plain name after "{word}:", not {shown(name)}')
    return reference


def url(value: object, base: Path) -> str:
    """An https URL of a server, without a path."""
    given, parts = _https(value, base)
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise Wrong(f'must be a server alone, as "https://qlik.example.com:4242", not {shown(value)}')
    return given.rstrip("/")


def url_with_prefix(value: object, base: Path) -> str:
    """An https URL of a virtual proxy: the server and one path word."""
    given, parts = _https(value, base)
    if parts.query or parts.fragment or not parts.path.strip("/") or "/" in parts.path.strip("/"):
        raise Wrong(f'must end in the prefix of a virtual proxy, as "https://qlik.example.com/jwt", not {shown(value)}')
    return given.rstrip("/")


def _https(value: object, base: Path) -> tuple[str, Any]:
    given = text(value, base)
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        raise Wrong(f"must be an https URL, not {shown(value)}") from None
    labels = str(parts.hostname or "").removesuffix(".").split(".")
    if parts.scheme != "https" or port == 0 or not all(0 < len(label) <= _LONGEST_LABEL for label in labels):
        raise Wrong(f'must be an https URL, as "https://qlik.example.com", not {shown(value)}')
    if parts.username is not None or parts.password is not None:
        raise Wrong("must not hold a user or password")
    return given, parts


def host(value: object, base: Path) -> str:
    """A host name, without scheme and port."""
    given = text(value, base)
    if not _HOST.fullmatch(given):
        raise Wrong(f'must be a host name without scheme, port or path, as "portal.example.com", not {shown(value)}')
    return given


def hosts_or_all(value: object, base: Path) -> tuple[str, ...]:
    """Host names, or ["*"] for all."""
    if value == ["*"]:
        return ("*",)
    found = list_of(host)(value, base)
    if not found:
        raise Wrong('must name at least one host, or be ["*"] for all')
    return found


def address(value: object, base: Path) -> tuple[str, int]:
    """`host:port`."""
    name, colon, port = text(value, base).rpartition(":")
    if not colon or not name or not port.isdigit() or not 0 < int(port) <= _HIGHEST_PORT:
        raise Wrong(f'must be host:port, as "10.0.0.5:443", not {shown(value)}')
    return name.strip("[]"), int(port)


def list_of(parse: Parser[T]) -> Parser[tuple[T, ...]]:
    """An array whose items all parse."""

    def parse_all(value: object, base: Path) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise Wrong(f'must be an array, as ["…"], not {kind(value)}')
        items = []
        for index, item in enumerate(value):
            try:
                items.append(parse(item, base))
            except Wrong as wrong:
                raise Wrong(f"[{index}] {wrong}") from None
        return tuple(items)

    return parse_all
