"""Values that are right each by itself, and wrong together."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from rotator.config.reading import Reading
from rotator.config.schedule import longest_gap
from rotator.config.values import as_duration
from rotator.model import (
    CERTIFICATE_MARGIN,
    WINDOW_MARGIN,
    Auth,
    Consumers,
    KeyringBackend,
    Site,
    Windows,
    constant,
)


DAY: Final = timedelta(days=1)
EVERY: Final = 30 * DAY
"""How often a key is rotated where neither every nor cron is given."""


def keyring(reading: Reading, found: Mapping[str, Any]) -> None:
    """sealed-file needs its folder and master key; the others have neither."""
    backend = found.get("backend")
    if backend is None:
        return
    sealed = backend is KeyringBackend.SEALED_FILE
    for key, example in (("path", "/var/lib/rotator/keys"), ("master_key", "credential:rotator-master-key")):
        if key not in found:
            continue
        if sealed and found[key] is None:
            reading.wrong(("keyring", key), f'is missing: backend = "sealed-file" needs it, e.g. "{example}"')
        if not sealed and found[key] is not None:
            reading.wrong(("keyring", key), f'belongs to backend = "sealed-file" alone, not to "{backend}"')


def site(
    reading: Reading,
    name: str,
    found: Mapping[str, Any],
    certificate: Mapping[str, Any] | None,
    jwt: Mapping[str, Any] | None,
) -> None:
    """The table that `auth` names must be there, and hold one kind of certificate."""
    path, auth = ("site", name), found.get("auth")
    if auth is Auth.CERTIFICATE and certificate is None:
        reading.wrong((*path, "certificate"), 'is missing: auth = "certificate" needs pfx, or cert and key, and user')
    if auth is Auth.JWT and jwt is None:
        reading.wrong((*path, "jwt"), 'is missing: auth = "jwt" needs url and user')
    if certificate is None:
        return
    pfx, cert, key = (certificate.get(item) for item in ("pfx", "cert", "key"))
    here = (*path, "certificate")
    if pfx and (cert or key):
        reading.wrong(here, "has both pfx and cert/key: give one of them")
    elif cert and not key:
        reading.wrong((*here, "key"), "is missing: cert needs it")
    elif key and not cert:
        reading.wrong((*here, "cert"), "is missing: key needs it")
    elif not pfx and not cert and {"pfx", "cert", "key"} <= certificate.keys():
        reading.wrong(here, "names no certificate: give pfx, or cert and key")


def probe(reading: Reading, path: Sequence[str], given: Mapping[str, Any]) -> None:
    """A proxy is either reached or skipped; asked of the table as it stands, whatever else is wrong in it."""
    if given.get("skip") is True and any(given.get(key) for key in ("connect", "host", "ca")):
        reading.wrong(path, "both skips the proxy and says how it is reached: give one of them")


def proxy(reading: Reading, path: tuple[str, ...], found: Mapping[str, Any]) -> None:
    """Claims, test user and consumers must fit each other, those of them that could be read."""
    id_claim, directory_claim = found.get("user_id_claim"), found.get("user_directory_claim")
    if id_claim is not None and id_claim == directory_claim:
        reading.wrong((*path, "user_directory_claim"), f'= "{id_claim}" is the user_id_claim too: each needs its own')
    user, claims = found.get("test_user"), found.get("test_claims") or {}
    for key, claim, part in (
        ("user_directory_claim", directory_claim, "directory"),
        ("user_id_claim", id_claim, "id"),
    ):
        if claim is None:
            continue
        fixed = constant(claim)
        if fixed and user is not None and getattr(user, part).casefold() != fixed.casefold():
            reading.wrong((*path, "test_user"), f'must have the {part} "{fixed}", which {key} makes constant')
        if claim in claims:
            reading.wrong((*path, "test_claims"), f'cannot set "{claim}", which names the test user')
    for item in found.get("attributes", ()):
        if item.mandatory and "test_claims" in found and item.claim not in claims:
            reading.wrong(
                (*path, "test_claims"),
                f'must hold "{item.claim}", as {{ {item.claim} = "…" }}: attributes make it '
                "mandatory, so no test login succeeds without it",
            )
    _consumers(reading, path, found)


def _consumers(reading: Reading, path: tuple[str, ...], found: Mapping[str, Any]) -> None:
    consumers, hook = found.get("consumers"), found.get("hook")
    if consumers is None or "hook" not in found:
        return
    if consumers is Consumers.HOOK and hook is None:
        reading.wrong(
            (*path, "hook"),
            'is missing: consumers = "hook" needs the executable that takes each new key, as "/path/to/it"',
        )
    if consumers is not Consumers.HOOK and hook is not None:
        reading.wrong((*path, "hook"), f'belongs to consumers = "hook" alone, not to "{consumers}"')


def rotation(reading: Reading, path: tuple[str, ...], found: Mapping[str, Any], *, unattended: bool) -> None:
    """One schedule, a certificate that outlives it where it is `unattended`, windows that are long enough."""
    every, cron, days, settle = (found.get(key) for key in ("every", "cron", "certificate_days", "settle_timeout"))
    if every and cron:
        reading.wrong(path, "has both every and cron: give one of them")
    period = longest_gap(cron) if cron else every or EVERY
    if unattended and days and timedelta(days=days) < period + CERTIFICATE_MARGIN:
        schedule = f'cron = "{cron}"' if cron else f'every = "{as_duration(period)}"'
        reading.wrong(
            (*path, "certificate_days"),
            f"= {days} is too short: with {schedule} it must be at least {-(-(period + CERTIFICATE_MARGIN) // DAY)}",
        )
    jitter = found.get("jitter")
    if every and jitter and jitter > every:
        reading.wrong((*path, "jitter"), f'must not be longer than every = "{as_duration(every)}"')
    short = too_short(found.get("window", ()), settle) if settle else None
    if short is not None:
        reading.wrong((*path, "window"), short)


def too_short(windows: Windows, settle: timedelta) -> str | None:
    """What is wrong with a window in which no rotation could start, None where all are long enough."""
    for window in windows if isinstance(windows, tuple) else ():
        if window.length < WINDOW_MARGIN * settle:
            return (
                f'has a window of {as_duration(window.length)}, shorter than twice settle_timeout = "{as_duration(settle)}": '
                "no rotation could start in it"
            )
    return None


def sites(reading: Reading, given: Mapping[str, Any], *, declared: frozenset[str]) -> None:
    """Every proxy's site is there; asked of the tables as they stand, so that other mistakes in them hide nothing."""
    for name, table in given.items():
        site = table.get("site") if isinstance(table, dict) else None
        if isinstance(site, str) and site.strip() and site not in declared:
            known = ", ".join(sorted(declared)) or "none"
            reading.wrong(("proxy", name, "site"), f'= "{site}" is not configured; there is: {known}')


def ways(reading: Reading, sites: Mapping[str, Site], given: Mapping[str, Any]) -> None:
    """The virtual proxy that leads to QRS under `auth = "jwt"` has a table: its key in the keyring signs rotator's tokens."""
    there = [(table.get("site"), table.get("prefix")) for table in given.values() if isinstance(table, dict)]
    for name, site in sites.items():
        if site.auth is Auth.JWT and site.jwt is not None and (name, site.jwt.prefix) not in there:
            reading.wrong(
                ("site", name, "jwt", "url"),
                f'leads through the virtual proxy "{site.jwt.prefix}" of this site, which has no table: add a [proxy.NAME] '
                f'with site = "{name}" and prefix = "{site.jwt.prefix}", as its key signs rotator\'s own tokens',
            )


def unique(reading: Reading, given: Mapping[str, Any]) -> None:
    """Names that stand once in a site; asked of the tables as they stand, as the sites are."""
    keys: tuple[tuple[str, Callable[[str, Mapping[str, Any]], object]], ...] = (
        ("prefix", lambda _, table: table.get("prefix")),
        ("session_cookie", lambda _, table: table.get("session_cookie") or session_cookie(table.get("prefix"))),
        ("description", lambda name, table: table.get("description") or name),
    )
    for key, value in keys:
        seen: dict[tuple[str, str], str] = {}
        for name, table in given.items():
            if not isinstance(table, dict) or not isinstance(table.get("site"), str):
                continue
            wanted = value(name, table)
            if not isinstance(wanted, str):
                continue
            taken = seen.setdefault((table["site"], wanted.casefold()), name)
            if taken != name:
                reading.wrong(
                    ("proxy", name, key), f'= "{wanted}" is that of proxy.{taken} too: it must be unique in a site'
                )


def session_cookie(prefix: object) -> str | None:
    """The session cookie header name where none is given."""
    return f"X-Qlik-Session-{prefix}" if isinstance(prefix, str) else None
