"""One way to make TLS contexts, for every connection of rotator."""

import ssl
import sys
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs12

from rotator.errors import KeyMaterialError, TlsError
from rotator.model import SYSTEM_CA, CertificateAccess


def trusting(ca: str) -> ssl.SSLContext:
    """A context that trusts the authorities in a file, or those of the system. Raises TlsError."""
    return _verifying(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ca)


def with_client_certificate(ca: str, access: CertificateAccess, password: str | None) -> ssl.SSLContext:
    """The same, showing a client certificate. Raises KeyMaterialError before anything is sent."""
    ends = expiry(access, password)
    if ends < datetime.now(UTC):
        raise KeyMaterialError(f"the client certificate in {_source(access)} expired on {ends:%Y-%m-%d}", hint=_NEW)
    return _verifying(_pkcs12(access.pfx, password) if access.pfx else _pem_pair(access, password), ca)


def expiry(access: CertificateAccess, password: str | None) -> datetime:
    """When the client certificate ends, UTC. Raises KeyMaterialError."""
    path = _source(access)
    data = read(path)
    if access.pfx is None:
        try:
            return x509.load_pem_x509_certificate(data).not_valid_after_utc
        except ValueError:
            raise KeyMaterialError(f"{path} holds no certificate in PEM", hint=_NEW) from None
    try:
        key, certificate, _ = pkcs12.load_key_and_certificates(data, password.encode() if password else None)
    except ValueError:
        raise KeyMaterialError(
            f"{path} cannot be opened: its password is wrong or missing, or it is no PKCS#12 file",
            hint="see `password` in [site.NAME.certificate]; a file with the RC2 encryption of an old Windows needs "
            "OpenSSL's legacy provider: export it anew with AES256-SHA256",
        ) from None
    if key is None or certificate is None:
        raise KeyMaterialError(f"{path} holds no {'private key' if key is None else 'certificate'}", hint=_NEW)
    return certificate.not_valid_after_utc


def _verifying(context: ssl.SSLContext, ca: str) -> ssl.SSLContext:
    """Roots and names checked, nothing older than TLS 1.2, no key log whatever the environment says.

    Python 3.13 began to demand what RFC 5280 asks of certificates (VERIFY_X509_STRICT), such as authority key
    identifiers, which roots of Windows products often lack: that check is off on every Python alike. Chain, dates,
    signatures and name are checked all the same.
    """
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    context.hostname_checks_common_name = False
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    try:
        if ca != SYSTEM_CA:
            context.load_verify_locations(cafile=ca)
        elif sys.platform == "win32":
            context.load_default_certs()
        else:
            # set_default_verify_paths() would obey SSL_CERT_FILE of the environment.
            paths = ssl.get_default_verify_paths()
            file = paths.openssl_cafile if Path(paths.openssl_cafile).exists() else None
            context.load_verify_locations(cafile=file, capath=paths.openssl_capath)
    except OSError as error:
        raise TlsError(
            f"the certificate authorities in {ca} cannot be read: {error.strerror or 'there is none in it'}",
            hint="give a file of PEM certificates: root.pem of the certificates that the QMC exports",
        ) from None
    return context


def _pem_pair(access: CertificateAccess, password: str | None) -> ssl.SSLContext:
    assert access.cert is not None  # noqa: S101 - the configuration demands one of both forms
    assert access.key is not None  # noqa: S101 - as above
    read(access.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # With an empty password OpenSSL fails where it would ask on the terminal.
        context.load_cert_chain(access.cert, access.key, password or "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise KeyMaterialError(
                f"the key {access.key} does not belong to the certificate {access.cert}", hint="give both of one export"
            ) from None
        raise KeyMaterialError(
            f"the key {access.key} cannot be read: it is no PEM key, or its password is wrong or missing",
            hint="see `key` and `password` in [site.NAME.certificate]",
        ) from None
    return context


def _pkcs12(path: Path, password: str | None) -> ssl.SSLContext:
    """The context that requests-pkcs12 makes: OpenSSL gets the key by a file under a random password, deleted at once."""
    from requests_pkcs12 import Pkcs12Adapter  # type: ignore[import-untyped]  # noqa: PLC0415 - for those who use it

    try:
        adapter = Pkcs12Adapter(pkcs12_data=read(path), pkcs12_password=password)
    except (ValueError, ssl.SSLError):
        raise KeyMaterialError(f"a certificate in {path} has expired or is too weak for TLS", hint=_NEW) from None
    except OSError as error:
        raise KeyMaterialError(
            f"{path}: no temporary file can be written: {error.strerror}", hint="see that TMPDIR can be written to"
        ) from None
    context: ssl.SSLContext = adapter.ssl_context
    return context


_NEW = "export a new one in the QMC under Certificates, with its secrets key, and put it in place of the old one"


def _source(access: CertificateAccess) -> Path:
    path = access.pfx or access.cert
    assert path is not None  # noqa: S101 - the configuration demands one of both forms
    return path


def read(path: Path) -> bytes:
    """The bytes of a file of a client certificate. Raises KeyMaterialError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyMaterialError(
            f"{path} cannot be read: {error.strerror}",
            hint="see the paths in [site.NAME.certificate], and who may read them",
        ) from None
