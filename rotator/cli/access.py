"""How a site is reached: QRS, QPS and its sessions, by the client certificate or through a virtual proxy by JWT."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ssl import SSLContext

from rotator.cli.keyring import Keyring
from rotator.errors import (
    KeyNotFound,
    KeyStoreCorrupt,
    Refused,
    RotatorError,
    SecretUnavailable,
)
from rotator.keys import PrivateKey, timed_claims, user_claims
from rotator.keystore.secret_refs import read_text
from rotator.model import (
    Auth,
    ProxyService,
    ProxySpec,
    SecretKind,
    SecretRef,
    Site,
    Stage,
)
from rotator.planning.signing import audience_of
from rotator.qlik import routes, tls
from rotator.qlik.doors import CertificateDoor, JwtDoor, Token
from rotator.qlik.login import ProxyLogins
from rotator.qlik.qrs import Qrs
from rotator.qlik.sessions import ProxySessions
from rotator.qlik.transport import Transport


ACCESS_TOKEN_TTL = timedelta(minutes=5)
AtEnd = Callable[[Callable[[], None]], object]
"""Takes what has to be done when the command has ended."""


class SiteAccess:
    """The adapters of one site, each with one connection pool for the whole run."""

    def __init__(self, site: Site, keyring: Keyring, specs: Sequence[ProxySpec], at_end: AtEnd) -> None:
        self._site = site
        self._keyring = keyring
        self._specs = specs
        self.certificate_ends: datetime | None = None
        if site.auth is Auth.CERTIFICATE:
            self._context = self._with_certificate(site)
            self._door: CertificateDoor | JwtDoor = self._direct(routes.to_qrs(site))
        else:
            self._door = self._through_proxy(site)
            at_end(self._door.close)
        self.repository = Qrs(self._door)
        self.logins = ProxyLogins(site)
        direct = site.auth is Auth.CERTIFICATE
        self.sessions = ProxySessions(self.repository, self._to_qps if direct else None)

    def _with_certificate(self, site: Site) -> SSLContext:
        access = site.certificate
        assert access is not None  # noqa: S101 - the configuration demands it for this auth
        password = self._password(access.password) if access.password else None
        self.certificate_ends = tls.expiry(access, password)
        return tls.with_client_certificate(str(site.root_ca), access, password)

    def _password(self, reference: SecretRef) -> str:
        """The password, from the keyring only where it is there. Raises SecretUnavailable naming the key."""
        store = self._keyring.store if reference.kind is SecretKind.KEYRING else None
        try:
            return read_text(reference, os.environ, store)
        except SecretUnavailable as error:
            place = f"site.{self._site.name}.certificate.password"
            raise SecretUnavailable(f"{place}: {error.message}", hint=error.hint) from None

    def _direct(self, route: routes.Route) -> CertificateDoor:
        access = self._site.certificate
        assert access is not None  # noqa: S101 - as above
        return CertificateDoor(Transport(route, self._context), access.user)

    def _to_qps(self, proxy: ProxyService) -> CertificateDoor:
        return self._direct(routes.to_qps(self._site, proxy))

    def _through_proxy(self, site: Site) -> JwtDoor:
        """QRS through the virtual proxy that `[site.NAME.jwt]` names, whose key is in the keyring too."""
        access = site.jwt
        assert access is not None  # noqa: S101 - as above
        # The configuration demands a table for it.
        spec = next(spec for spec in self._specs if (spec.site, spec.prefix) == (site.name, access.prefix))
        held, audience = self._keys_of_way(spec)  # what cannot be had is told before anything is asked
        route = routes.to_access(site, access.url)
        transport = Transport(route, tls.trusting(route.ca))

        def signing(key: PrivateKey) -> Token:
            def token() -> str:
                now = datetime.now(UTC) + timedelta(seconds=transport.clock_offset or 0.0)
                timed = timed_claims(now, ACCESS_TOKEN_TTL, audience=audience)
                claims = {**spec.test_claims, **user_claims(spec, access.user), **timed}
                return key.token(claims, spec.rotation.algorithm)

            return token

        def tokens() -> Iterator[Token]:
            """None of the keys is taken where the way was rotated meanwhile: then the keyring has another one."""
            yield from map(signing, held)
            with suppress(RotatorError):  # a change under way must not meet the keyring's errors as the server's
                held[:], _ = self._keys_of_way(spec)
            yield from map(signing, held)

        return JwtDoor(transport, access.url, tokens)

    def _keys_of_way(self, spec: ProxySpec) -> tuple[list[PrivateKey], str]:
        """The key that signs tokens for the way to QRS, and their audience.

        While a change of that key is under way nobody can say which end it is: both then.
        """
        keystore = self._keyring.keystore(spec)
        ring = keystore.ring()
        ends = (ring.known(ring.intent.after), ring.known(ring.intent.before)) if ring.intent else ()
        versions = [version for version in dict.fromkeys((ring.at(Stage.CURRENT), *ends)) if version is not None]
        if not versions:
            raise Refused(
                f"site {spec.site}: the keyring has no key for the virtual proxy {spec.prefix!r} that leads to QRS",
                hint=f'create it under auth = "certificate": rotator create-proxy {spec.name}',
            )
        keys, lost = [], None
        for version in versions:
            try:
                keys.append(keystore.key(version))
            except (KeyNotFound, KeyStoreCorrupt) as error:
                lost = error
        if lost is not None and not keys:
            raise type(lost)(
                f"site {spec.site}: the virtual proxy {spec.prefix!r} leads to QRS, and {lost.message}",
                hint=f'under auth = "certificate", rotator recover {spec.name} says what can be done',
            )
        return keys, audience_of(spec, ring)
