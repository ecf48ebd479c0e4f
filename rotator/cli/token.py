"""rotator token."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rotator.cli.options import AsJson, Name, SiteName
from rotator.cli.output import told as say
from rotator.cli.session import Session
from rotator.errors import KeyNotFound, RestoredKeyring, RotatorError, UsageError
from rotator.model import Json, KeyVersion, Outcome, ProxySpec, Result, Ring, Stage, User, constant, utc


if TYPE_CHECKING:
    from collections.abc import Sequence

    from rotator.cli.wiring import Wiring


def token(
    context: typer.Context,
    name: Name,
    user: Annotated[str, typer.Option("--user", metavar="DIR\\id", help="Who logs in with it.")],
    ttl: Annotated[str, typer.Option("--ttl", metavar="5m", help="How long it lives, up to max_token_ttl.")] = "5m",
    claim: Annotated[
        list[str] | None,
        typer.Option("--claim", metavar="k=v", help="A further claim; one that is repeated is a list."),
    ] = None,
    site: SiteName = None,
    as_json: AsJson = False,
) -> None:
    """Print a signed, short-lived token, alone on standard output; with --json also its URL, kid and expiry."""
    from rotator.cli.wiring import Wiring
    from rotator.keys import expiry, timed_claims, user_claims
    from rotator.planning.signing import audience_of

    session: Session = context.obj
    spec = session.one(name, site)
    wiring = Wiring(session)
    lifetime = _lifetime(ttl, spec)
    who = _user(user, spec)
    extra = _claims(claim or (), spec)
    keystore = wiring.keyring.keystore(spec)
    try:
        ring = wiring.keyring.whole_ring(spec)
    except RestoredKeyring as error:
        # It may log in all the same, and users wait for it.
        say(f"rotator: the token may not log in: {error.message}; {error.hint}")
        ring = keystore.ring()
    version, virtual_url = _signing(wiring, spec, ring, as_json=as_json)
    key = keystore.key(version)
    claims: dict[str, Json] = {
        **extra,
        **user_claims(spec, who),
        **timed_claims(datetime.now(UTC), lifetime, audience=audience_of(spec, ring)),
    }
    signed = key.token(claims, spec.rotation.algorithm)
    told: dict[str, Json] = {
        "token": signed,
        "url": virtual_url,
        "kid": version.kid,
        "expires": utc(expiry(claims)),
    }
    result = Result(spec.site, spec.name, Outcome.SHOWN, "Signed", proxy_id=ring.proxy_id, key=version, extra=told)
    session.finish([result], as_json=as_json, show=lambda _: signed)


def _signing(wiring: "Wiring", spec: ProxySpec, ring: Ring, *, as_json: bool) -> tuple[KeyVersion, str | None]:
    """The key that signs and, for --json, where its tokens are taken.

    While a change of the certificate is open it is the key whose fingerprint the server shows; otherwise the server is
    asked for the URL alone, and its silence is no reason to refuse a token.
    """
    from rotator.looking import absent
    from rotator.planning.drift import drift
    from rotator.planning.signing import signing_key

    url = None
    if ring.intent is not None:
        scene = wiring.scene(spec)
        observed = scene.world.repository.find(spec.prefix)
        if observed is None:
            raise absent(scene, ring)
        version = signing_key(ring, observed.fingerprint)
        if version is None:
            raise drift(spec.name, ring, observed)
    else:
        version = ring.at(Stage.CURRENT)
    if version is None:
        raise KeyNotFound(
            f"{spec.name}: the keyring has no current key to sign with",
            hint=f"give it one: rotator create-proxy {spec.name}, or rotator adopt {spec.name} --key FILE",
        )
    if as_json:
        try:
            url = wiring.login_url(spec)
        except RotatorError as error:
            say(f"rotator: the URL is not known: {error.message}")
    return version, url


def _lifetime(ttl: str, spec: ProxySpec) -> timedelta:
    from rotator.config import duration_of

    lifetime = duration_of(ttl)
    if lifetime is None or lifetime <= timedelta(0):
        raise UsageError(f"--ttl {ttl!r} is not a duration", hint="write it as 90s, 5m or 1h")
    if lifetime > spec.max_token_ttl:
        raise UsageError(
            f"--ttl {ttl} is longer than max_token_ttl, {spec.max_token_ttl.total_seconds() / 60:g} minutes",
            hint=f"ask for less, or raise max_token_ttl in [proxy.{spec.name}]",
        )
    return lifetime


def _user(text: str, spec: ProxySpec) -> User:
    from rotator.config import values

    try:
        user = values.user(text, Path())
    except values.Wrong as wrong:
        raise UsageError(f"--user {wrong}", hint="see rotator token --help") from None
    for claim, value, what in (
        (spec.user_id_claim, user.id, "user id"),
        (spec.user_directory_claim, user.directory, "user directory"),
    ):
        fixed = constant(claim)
        if fixed is not None and fixed.casefold() != value.casefold():
            raise UsageError(
                f"--user: the {what} is always {fixed!r} on this virtual proxy",
                hint=f"it is a constant of [proxy.{spec.name}]",
            )
    return user


def _claims(pairs: "Sequence[str]", spec: ProxySpec) -> dict[str, Json]:
    """`k=v` pairs as claims: a value that is a JSON list stays one, a repeated key becomes one, all else is text."""
    from rotator.config.proxy_values import RESERVED_CLAIMS

    claims: dict[str, Json] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--claim {pair!r} is not of the form NAME=VALUE", hint="e.g. --claim groups=sales")
        if name in RESERVED_CLAIMS | {spec.user_id_claim, spec.user_directory_claim}:
            raise UsageError(
                f"--claim cannot set {name!r}, which rotator sets itself",
                hint="say who logs in with --user, for how long with --ttl",
            )
        new = _value(value)
        if name not in claims:
            claims[name] = new
            continue
        before = claims[name]
        claims[name] = [*(before if isinstance(before, list) else [before]), *(new if isinstance(new, list) else [new])]
    return claims


def _value(text: str) -> Json:
    if not text.startswith("["):
        return text
    try:
        value: Json = json.loads(text)
    except ValueError:
        return text
    return value
