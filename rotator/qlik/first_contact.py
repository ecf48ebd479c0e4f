"""A server that nothing is known of yet: can it be reached, and what does its certificate say. Nothing is sent to it.

The root is asked for before the first handshake, and there is none without it: a chain that does not lead to the root is
refused here as everywhere.
"""

import socket
import ssl
from typing import Final

from cryptography.hazmat.primitives.serialization import pkcs12

from rotator.errors import TlsError
from rotator.model import CertificateAccess
from rotator.qlik import tls
from rotator.qlik.failures import mapped
from rotator.qlik.routes import Route
from rotator.qlik.transport import CONNECT_LIMIT


_ENCRYPTED: Final = b"ENCRYPTED"
"""Stands in every PEM key that needs a password: in its first line, or in its Proc-Type."""


def reach(route: Route) -> None:
    """Connect, and no more. Raises ServerUnreachable."""
    try:
        socket.create_connection((route.address, route.port), CONNECT_LIMIT).close()
    except OSError as error:
        raise mapped(error, route, "connect", "") from None


def greet(route: Route) -> None:
    """A handshake with chain and name verified. Raises TlsError, ServerUnreachable."""
    _peer(route, tls.trusting(route.ca))


def names(route: Route) -> tuple[str, ...]:
    """The names that the server's certificate is for; its chain is verified, its name is what is asked for here.

    Raises TlsError, also for a certificate without any name, and ServerUnreachable.
    """
    context = tls.trusting(route.ca)
    context.check_hostname = False
    shown = _peer(route, context).get("subjectAltName", ())
    found = tuple(str(value) for kind, value in shown if kind == "DNS")
    if not found:
        raise TlsError(
            f"the certificate of {route.address}:{route.port} names no host",
            hint="it needs a subjectAltName: let Qlik Sense issue the server's certificate anew",
        )
    return found


def _peer(route: Route, context: ssl.SSLContext) -> "dict[str, tuple[tuple[str, str], ...]]":
    try:
        with (
            socket.create_connection((route.address, route.port), CONNECT_LIMIT) as plain,
            context.wrap_socket(plain, server_hostname=route.name) as secured,
        ):
            return dict(secured.getpeercert() or {})  # type: ignore[arg-type]
    except OSError as error:
        raise mapped(error, route, "connect", "") from None


def needs_password(access: CertificateAccess) -> bool:
    """Whether a client certificate does not open without a password; a file that is something else neither."""
    if access.pfx is None:
        return access.key is not None and _ENCRYPTED in tls.read(access.key)
    try:
        pkcs12.load_key_and_certificates(tls.read(access.pfx), None)
    except ValueError:
        return True
    return False
