"""`[notify]` and `[metrics]`: their values, and what can be read of them in a file that is wrong elsewhere."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from rotator.config import tables, values
from rotator.config.location import default_state
from rotator.config.reading import Reading, parse
from rotator.config.values import Wrong
from rotator.errors import ConfigError
from rotator.model import Notify, SecretKind, Telling


_ADDRESS: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+=-]*(@[A-Za-z0-9][A-Za-z0-9.-]*)?")
"""Narrower than RFC 5322: some mail systems take `|program` and `/file` for addresses, and `-x` for an option."""


def webhook(value: object, base: Path) -> Any:  # noqa: ANN401 - a URL or a SecretRef
    """An https URL, or where it is kept: such URLs are often secrets."""
    if isinstance(value, str) and not value.startswith(("https:", "http:")):
        try:
            reference = values.secret(value, base)
        except Wrong:
            raise Wrong(
                'must be an https URL, or say where it is kept: "credential:NAME" or "file:PATH"; '
                "its value is not shown, as it may be secret"
            ) from None
        if reference.kind is SecretKind.KEYRING:
            raise Wrong(
                'must be "credential:NAME" or "file:PATH": a keyring that does not open is what it has to tell of'
            )
        return reference
    return checked_url(values.text(value, base))


def checked_url(given: str) -> str:
    """The URL of a webhook. Raises Wrong, which does not repeat it."""
    try:
        parts = urlsplit(given)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme != "https" or not parts.hostname or port == 0 or not given.isascii() or re.search(r"\s", given):
        raise Wrong('must be an https URL, as "https://alerts.example.com/hook"')
    if parts.username is not None or parts.password is not None:
        raise Wrong("must not hold a user or password")
    if parts.fragment:
        raise Wrong("must not hold a fragment (#…)")
    return given


def address(value: object, base: Path) -> str:
    """A mail address, or the name of an account of this machine."""
    given = values.text(value, base)
    if not _ADDRESS.fullmatch(given):
        raise Wrong(f'must be a plain mail address, as "ops@example.com", not {values.shown(value)}')
    return given


def textfile(value: object, base: Path) -> Path:
    """The file for node_exporter, which reads nothing but what ends in .prom."""
    given = values.path(value, base)
    if given.suffix != ".prom":
        raise Wrong(f"must end in .prom, or node_exporter does not read it, not {values.shown(value)}")
    return given


NOTIFY: Final[dict[str, tables.Key]] = {
    "hooks": tables.Key(values.path),
    "webhook": tables.Key(webhook),
    "webhook_ca": tables.Key(values.ca, "system"),
    "mail": tables.Key(values.list_of(address), ()),
    "mail_from": tables.Key(address),
    "sendmail": tables.Key(values.path, Path("/usr/sbin/sendmail")),
}

METRICS: Final[dict[str, tables.Key]] = {"textfile": tables.Key(textfile, tables.REQUIRED)}


def notify(reading: Reading, document: Mapping[str, Any]) -> Notify:
    """`[notify]`; its mistakes are noted, and what is right in it is in the result."""
    table = reading.table(document, ("notify",), required=False)
    if table is None:
        return Notify()
    found = reading.read(table, NOTIFY, ("notify",))
    for key, needs in (("webhook_ca", "webhook"), ("mail_from", "mail"), ("sendmail", "mail")):
        if key in table and not table.get(needs):
            reading.wrong(("notify", key), f"belongs to {needs}, which is not set")
    if not any(table.get(key) for key in ("hooks", "webhook", "mail")):
        reading.wrong(("notify",), "names no channel: give hooks, webhook or mail")
    return Notify(**found)


def metrics(reading: Reading, document: Mapping[str, Any]) -> Path | None:
    """`textfile` of `[metrics]`."""
    table = reading.table(document, ("metrics",), required=False)
    found = reading.read(table, METRICS, ("metrics",)).get("textfile") if table is not None else None
    return found if isinstance(found, Path) else None


def telling(source: Path, environ: Mapping[str, str]) -> Telling | None:
    """How people are told that the file itself is wrong: what can be read of these tables; None where nothing can."""
    try:
        reading, document = parse(source.absolute())
    except ConfigError:
        return None
    found = reading.read(reading.table(document, ("state",), required=False) or {}, tables.STATE, ("state",))
    state = found.get("path") or default_state(environ)
    return Telling(state, notify(reading, document), metrics(reading, document))
