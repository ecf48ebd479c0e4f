"""Certificates as a Qlik Sense site makes them: a root of its own, servers by host name, a client certificate."""

import ipaddress
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


KEY_BITS = 2048
LIFE = timedelta(days=3650)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: rsa.RSAPrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key as PKCS#8 PEM."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


class Authority:
    """A site's own root. `identified`: with key identifiers, which roots of Windows products often lack."""

    def __init__(self, name: str, *, identified: bool = True) -> None:
        self._identified = identified
        key = rsa.generate_private_key(65537, KEY_BITS)
        subject = _name(name)
        builder = _builder(subject, subject, key, LIFE).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), True
        )
        if identified:
            builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            builder = builder.add_extension(_signing(), True)
        self.pair = Pair(builder.sign(key, hashes.SHA256()), key)

    def server(self, host: str, *others: str) -> Pair:
        """A server certificate for a host name, and further names and addresses."""
        names = x509.SubjectAlternativeName([_alternative(name) for name in (host, *others)])
        return self._issued(_name(host), LIFE, ExtendedKeyUsageOID.SERVER_AUTH, names)

    def client(self, days: int) -> Pair:
        """A client certificate that ends in `days` days; negative: has ended."""
        return self._issued(_name("QlikClient"), timedelta(days=days), ExtendedKeyUsageOID.CLIENT_AUTH, None)

    def _issued(
        self,
        subject: x509.Name,
        life: timedelta,
        usage: x509.ObjectIdentifier,
        names: x509.SubjectAlternativeName | None,
    ) -> Pair:
        key = rsa.generate_private_key(65537, KEY_BITS)
        root = self.pair
        builder = _builder(subject, root.certificate.subject, key, life)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
        if names is not None:
            builder = builder.add_extension(names, False)
        if self._identified:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.key.public_key())
            builder = builder.add_extension(identifier, False)
        return Pair(builder.sign(root.key, hashes.SHA256()), key)


def write_client(folder: Path, root: Pair, client: Pair) -> None:
    """`root.pem`, `client.pem`, `client_key.pem`, and `client.pfx` with its password in `client.pfx.password`."""
    password = secrets.token_urlsafe(18)
    bundle = pkcs12.serialize_key_and_certificates(
        b"QlikClient",
        client.key,
        client.certificate,
        [root.certificate],
        serialization.BestAvailableEncryption(password.encode()),
    )
    write_private(folder / "root.pem", root.certificate_pem)
    write_private(folder / "client.pem", client.certificate_pem)
    write_private(folder / "client_key.pem", client.key_pem)
    write_private(folder / "client.pfx", bundle)
    write_private(folder / "client.pfx.password", password.encode() + b"\n")


def write_private(path: Path, data: bytes) -> None:
    """Write a file for its owner alone."""
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(data)


def _builder(subject: x509.Name, issuer: x509.Name, key: rsa.RSAPrivateKey, life: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    ends = now + life
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, ends) - timedelta(days=2))
        .not_valid_after(ends)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _signing() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
