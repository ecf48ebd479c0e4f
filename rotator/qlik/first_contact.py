"""A server that nothing is known of yet: can it be reached, and is its certificate what it must be. Nothing is sent to it.

The root is asked for before the first handshake, and there is none without it: a chain that does not lead to the root is
refused here as everywhere.
"""

import socket
import ssl
from typing import Final

from cryptography.hazmat.primitives.serialization import pkcs12

from rotator.model import CertificateAccess
from rotator.qlik import tls
from rotator.qlik.failures import mapped
from rotator.qlik.routes import Route
from rotator.qlik.transport import CONNECT_LIMIT


_OTHER_NAME: Final = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
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
    try:
        _shake_hands(route)
    except OSError as error:
        raise mapped(error, route, "connect", "") from None


def is_named(route: Route) -> bool:
    """Whether the server's certificate is for the route's name.

    A no says nothing else of it: OpenSSL compares names before dates and signatures, which `greet` and everything after
    it sees under the right name. Raises TlsError for any other fault of the certificate, and ServerUnreachable.
    """
    try:
        _shake_hands(route)
    except ssl.SSLCertVerificationError as error:
        if error.verify_code in _OTHER_NAME:
            return False
        raise mapped(error, route, "connect", "") from None
    except OSError as error:
        raise mapped(error, route, "connect", "") from None
    return True


def _shake_hands(route: Route) -> None:
    context = tls.trusting(route.ca)
    with (
        socket.create_connection((route.address, route.port), CONNECT_LIMIT) as plain,
        context.wrap_socket(plain, server_hostname=route.name),
    ):
        return


def needs_password(access: CertificateAccess) -> bool:
    """Whether a client certificate does not open without a password; a file that is something else neither."""
    if access.pfx is None:
        return access.key is not None and _ENCRYPTED in tls.read(access.key)
    try:
        pkcs12.load_key_and_certificates(tls.read(access.pfx), None)
    except ValueError:
        return True
    return False
