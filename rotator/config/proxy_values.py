"""Parsers of what a virtual proxy and its tokens hold, as Qlik takes it; like those of `values`."""

import re
from pathlib import Path
from typing import Final

from rotator.config.values import Wrong, flag, kind, shown, text, text_or_empty
from rotator.model import Attribute, Json


_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
RESERVED_CLAIMS: Final = frozenset({"iss", "sub", "aud", "exp", "nbf", "iat", "jti"})
"""Claims with a meaning of their own (RFC 7519, 4.1), which Qlik does not take for user or directory."""
RESERVED_PREFIXES: Final = frozenset(
    """
    api app apps client console content custom data datatransfer dev-hub devhub extensions hub login printing qmc qps
    qrs resources sense single tempcontent internal_forms_authentication internal_windows_authentication
    """.split()  # noqa: SIM905 - read as the words they are
)
"""First path words that the proxy keeps for itself; whatever their case."""


def prefix(value: object, base: Path) -> str:
    """The prefix of a virtual proxy that rotator may manage."""
    given = text_or_empty(value, base)
    if not given:
        raise Wrong("must not be empty: that is the default virtual proxy, which rotator never touches")
    lower = given.lower()
    if not re.fullmatch(r"[a-z0-9._~-]+", lower):
        raise Wrong(f"must hold only a-z, 0-9, '-', '.', '_' and '~', not {shown(value)}")
    if lower in RESERVED_PREFIXES:
        raise Wrong(f'= "{given}" is reserved by Qlik; choose another word')
    if given != lower:
        raise Wrong(f'must be in lower case, as "{lower}": Qlik would convert it')
    return given


def cookie(value: object, base: Path) -> str:
    """A session cookie header name (a token of RFC 9110, 5.6.2)."""
    given = text(value, base)
    if not _TOKEN.fullmatch(given):
        raise Wrong(
            f'must be a cookie name without blanks or separators, as "X-Qlik-Session-portal", not {shown(value)}'
        )
    return given


def claim(value: object, base: Path) -> str:
    """The name of a claim, or a constant in brackets."""
    given = text(value, base)
    if given in RESERVED_CLAIMS:
        raise Wrong(f'= "{given}" is a registered claim, which Qlik does not take; use a name of your own, as "userId"')
    if given.startswith("[") != given.endswith("]") or given == "[]":
        raise Wrong(f'must be a claim name, or a constant in brackets as "[CORP]", not {shown(value)}')
    return given


def header(value: object, base: Path) -> str:
    """A response header as `Name: value`."""
    name, colon, _ = text(value, base).partition(":")
    if not colon or not _TOKEN.fullmatch(name):
        raise Wrong(f'must be a header as "Name: value", not {shown(value)}')
    return str(value)


def attribute(value: object, base: Path) -> Attribute:
    """`{ claim = …, sense = …, mandatory = false }`."""
    if not isinstance(value, dict):
        raise Wrong('must be a table as { claim = "groups", sense = "group", mandatory = false }')
    unknown = sorted(set(value) - {"claim", "sense", "mandatory"})
    missing = sorted({"claim", "sense"} - set(value))
    if unknown or missing:
        raise Wrong(f"has no {missing[0]}" if missing else f'knows claim, sense and mandatory, not "{unknown[0]}"')
    try:
        return Attribute(
            claim=text(value["claim"], base),
            sense=text(value["sense"], base),
            mandatory=flag(value.get("mandatory", False), base),
        )
    except Wrong as wrong:
        raise Wrong(f"claim, sense and mandatory: each {wrong}") from None


def claims(value: object, _: Path) -> dict[str, Json]:
    """A table of further claims for test logins."""
    if not isinstance(value, dict):
        raise Wrong(f"must be a table of claims, not {kind(value)}")
    for name in value:
        if name in RESERVED_CLAIMS:
            raise Wrong(f'cannot set "{name}", which rotator sets itself')
    if not _is_json(value):
        raise Wrong("must hold strings, numbers, booleans, arrays and tables only")
    return dict(value)


def _is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(_is_json(item) for item in value.values())
    if isinstance(value, list):
        return all(_is_json(item) for item in value)
    return isinstance(value, str | bool | int | float)
