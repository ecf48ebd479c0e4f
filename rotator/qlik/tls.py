"""interim"""

import ssl

from cryptography import x509


def trusting(ca):
    return _strict(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ca)


def with_client_certificate(ca, access, password):
    if access.pfx:
        from requests_pkcs12 import Pkcs12Adapter

        c = Pkcs12Adapter(pkcs12_data=access.pfx.read_bytes(), pkcs12_password=password).ssl_context
    else:
        c = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        c.load_cert_chain(access.cert, access.key, password or "")
    return _strict(c, ca)


def _strict(c, ca):
    c.minimum_version = ssl.TLSVersion.TLSv1_2
    c.hostname_checks_common_name = False
    c.verify_flags &= ~ssl.VERIFY_X509_STRICT
    c.load_verify_locations(cafile=ca)
    return c


def expiry(access, password=None):
    return x509.load_pem_x509_certificate(access.cert.read_bytes()).not_valid_after_utc
