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


_HANDSHAKE: Final = "the handshake"
_OTHER_NAME: Final = (62, 64)
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""
_HEADER: Final = 16
"""Bytes: more than the heading of a DER element takes, and less than any PKCS#12 file has."""
_SEQUENCE: Final = 0x30
_LONG: Final = 0x80
"""In the place of a DER element's length: it has no definite one; and beyond: so many bytes of length follow."""
_ENCRYPTED: Final = b"ENCRYPTED"
"""Stands in every PEM key that needs a password: in its first line, or in its Proc-Type."""


def reach(route: Route) -> None:
    """Connect, and no more. Raises ServerUnreachable."""
    try:
        socket.create_connection((route.address, route.port), CONNECT_LIMIT).close()
    except OSError as error:
        raise mapped(error, route, _HANDSHAKE) from None


def greet(route: Route) -> None:
    """A handshake with chain and name verified. Raises TlsError, ServerUnreachable."""
    try:
        _shake_hands(route)
    except OSError as error:
        raise mapped(error, route, _HANDSHAKE) from None


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
        raise mapped(error, route, _HANDSHAKE) from None
    except OSError as error:
        raise mapped(error, route, _HANDSHAKE) from None
    return True


def _shake_hands(route: Route) -> None:
    context = tls.trusting(route.ca)
    with (
        socket.create_connection((route.address, route.port), CONNECT_LIMIT) as plain,
        context.wrap_socket(plain, server_hostname=route.name),
    ):
        return


def is_pkcs12(data: bytes) -> bool:
    """Whether this is the whole of a PKCS#12 file, as far as can be told without its password.

    It begins as a DER sequence whose first element is the version, 3 (RFC 7292, 4).
    """
    if len(data) < _HEADER or data[0] != _SEQUENCE:
        return False
    definite, start, length = data[1] != _LONG, 2, data[1]
    if length > _LONG:
        start += length - _LONG
        length = int.from_bytes(data[2:start])
    return data[start : start + 3] == b"\x02\x01\x03" and not (definite and len(data) < start + length)


def needs_password(access: CertificateAccess) -> bool:
    """Whether a client certificate does not open without a password; a file that is something else neither."""
    if access.pfx is None:
        return access.key is not None and _ENCRYPTED in tls.read(access.key)
    try:
        pkcs12.load_key_and_certificates(tls.read(access.pfx), None)
    except ValueError:
        return True
    return False
