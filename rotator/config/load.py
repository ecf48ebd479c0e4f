"""The whole file: its tables in order, what they mean together, every mistake at once."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rotator.config import channels, checks, tables
from rotator.config.location import default_state, example
from rotator.config.reading import Reading, parse, parse_text
from rotator.config.values import BARE, Wrong, url
from rotator.errors import ConfigError
from rotator.model import (
    CertificateAccess,
    Config,
    Consumers,
    JwtAccess,
    KeyringSettings,
    ProbeRoute,
    ProxySpec,
    Rotation,
    Site,
    User,
    constant,
    counted,
)


def load(source: Path, environ: Mapping[str, str]) -> Config:
    """The configuration in `source`. Raises ConfigError carrying every problem found, each with its place."""
    return _loaded(*parse(source.absolute()), environ)


def load_text(text: str, source: Path, environ: Mapping[str, str]) -> Config:
    """The configuration in a text that is to be the file `source`. Raises ConfigError, as `load` does."""
    return _loaded(*parse_text(source.absolute(), text), environ)


def _loaded(reading: Reading, document: Mapping[str, Any], environ: Mapping[str, str]) -> Config:
    reading.read(document, {}, (), "keyring", "state", "notify", "metrics", "site", "proxy")
    keyring = _keyring(reading, document)
    state = _state(reading, document, environ)
    notify = channels.notify(reading, document)
    textfile = channels.metrics(reading, document)
    sites = _named(reading, document, "site", _site)
    proxies = _named(reading, document, "proxy", _proxy)
    checks.sites(reading, _tables(document.get("proxy")), declared=frozenset(_tables(document.get("site"))))
    checks.ways(reading, sites, _tables(document.get("proxy")))
    checks.unique(reading, _tables(document.get("proxy")))
    if reading.problems or keyring is None or state is None:
        raise _mistaken(reading)
    return Config(reading.source, keyring, state, MappingProxyType(sites), MappingProxyType(proxies), notify, textfile)


def load_keyring(source: Path) -> KeyringSettings:
    """The `[keyring]` of a file, whatever else is in it. Raises ConfigError."""
    reading, document = parse(source.absolute())
    keyring = _keyring(reading, document)
    if reading.problems or keyring is None:
        raise _mistaken(reading)
    return keyring


def _mistaken(reading: Reading) -> ConfigError:
    return ConfigError(
        f"{reading.source}: {counted(len(reading.problems), 'mistake')}",
        hint=f"nothing was done; every key is explained in {example()}",
        problems=tuple(reading.problems),
    )


def _tables(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _keyring(reading: Reading, document: Mapping[str, Any]) -> KeyringSettings | None:
    table = reading.table(document, ("keyring",))
    if table is None:
        return None
    found = reading.read(table, tables.KEYRING, ("keyring",))
    checks.keyring(reading, found)
    return KeyringSettings(**found) if "backend" in found else None


def _state(reading: Reading, document: Mapping[str, Any], environ: Mapping[str, str]) -> Path | None:
    table = reading.table(document, ("state",), required=False) or {}
    found = reading.read(table, tables.STATE, ("state",))
    return found.get("path") or default_state(environ)


def _named(reading: Reading, document: Mapping[str, Any], word: str, build: Any) -> dict[str, Any]:  # noqa: ANN401
    """Every [word.NAME] that could be built."""
    table = reading.table(document, (word,))
    if table is not None and not table:
        reading.wrong((word,), f"has no table; there must be a [{word}.NAME]")
    built = {}
    for name, given in _tables(table).items():
        if not isinstance(given, dict):
            reading.wrong((word, name), f"must be a table, as [{word}.NAME]")
        elif not BARE.fullmatch(name):
            reading.wrong((word, name), "must be named with letters, digits, - and _ only")
        else:
            made = build(reading, name, given)
            if made is not None:
                built[name] = made
    return built


def _site(reading: Reading, name: str, given: Mapping[str, Any]) -> Site | None:
    path = ("site", name)
    found = reading.read(given, tables.SITE, path, "certificate", "jwt", "probe")
    certificate = _access(reading, given, (*path, "certificate"), tables.CERTIFICATE)
    jwt = _access(reading, given, (*path, "jwt"), tables.JWT)
    probe = _probe(reading, given, (*path, "probe"))
    before = len(reading.problems)
    checks.site(reading, name, found, certificate, jwt)
    if len(reading.problems) > before or not {"qrs", "root_ca", "auth"} <= found.keys():
        return None
    return Site(
        name=name,
        **{**found, "proxy_ca": found.get("proxy_ca") or str(found["root_ca"])},
        certificate=CertificateAccess(**certificate) if certificate and "user" in certificate else None,
        jwt=JwtAccess(**jwt) if jwt and {"url", "user"} <= jwt.keys() else None,
        probe=MappingProxyType(probe),
    )


def _access(
    reading: Reading, given: Mapping[str, Any], path: tuple[str, ...], keys: Mapping[str, tables.Key]
) -> dict[str, Any] | None:
    table = reading.table(given, path, required=False)
    return reading.read(table, keys, path) if table is not None else None


def _probe(reading: Reading, given: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, ProbeRoute]:
    """The routes by host name, in small letters; a URL is the short form of host and port."""
    routes = {}
    for host, value in (reading.table(given, path, required=False) or {}).items():
        here = (*path, host)
        if isinstance(value, str):
            try:
                routes[host.lower()] = probe_of(url(value, reading.base))
            except Wrong as wrong:
                reading.wrong(here, str(wrong))
        elif isinstance(value, dict):
            found = reading.read(value, tables.PROBE, here)
            checks.probe(reading, here, value)
            routes[host.lower()] = ProbeRoute(**found)
        else:
            reading.wrong(
                here, 'must be a URL, or a table as { connect = "10.0.0.5:443", host = "portal.example.com" }'
            )
    return routes


def probe_of(address: str) -> ProbeRoute:
    """The short form of `[site.NAME.probe]`: a URL whose host is connected to and checked."""
    from urllib.parse import urlsplit  # noqa: PLC0415 - for those who use the short form

    parts = urlsplit(address)
    return ProbeRoute(connect=(str(parts.hostname), parts.port or 443), host=parts.hostname)


def _proxy(reading: Reading, name: str, given: Mapping[str, Any]) -> ProxySpec | None:
    path = ("proxy", name)
    before = len(reading.problems)
    found = reading.read(given, tables.PROXY, path, "rotation")
    unattended = found.get("consumers") is not Consumers.MANUAL
    rotation = _rotation(reading, given, (*path, "rotation"), unattended=unattended)
    checks.proxy(reading, path, found)
    if len(reading.problems) > before or rotation is None:
        return None
    found["description"] = found["description"] or name
    found["session_cookie"] = found["session_cookie"] or checks.session_cookie(found["prefix"])
    found["test_user"] = found["test_user"] or _test_user(found)
    found["test_claims"] = MappingProxyType(found["test_claims"])
    return ProxySpec(name=name, rotation=rotation, named=frozenset(given), **found)


def _test_user(found: Mapping[str, Any]) -> User:
    r"""`ROTATOR\probe`, or the constants of the claims."""
    return User(
        directory=constant(found["user_directory_claim"]) or "ROTATOR",
        id=constant(found["user_id_claim"]) or "probe",
    )


def _rotation(
    reading: Reading, given: Mapping[str, Any], path: tuple[str, ...], *, unattended: bool
) -> Rotation | None:
    table = reading.table(given, path, required=False) or {}
    before = len(reading.problems)
    found = reading.read(table, tables.ROTATION, path)
    checks.rotation(reading, path, found, unattended=unattended)
    if len(reading.problems) > before:
        return None
    if found["every"] is None and found["cron"] is None:
        found["every"] = checks.EVERY
    found["windows"] = found.pop("window")
    known = {item.name for item in fields(Rotation)}
    return Rotation(**{name: value for name, value in found.items() if name in known})
