"""RSA keys, their certificates and the tokens signed with them: the only place that makes or uses key material."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from rotator.errors import KeyMaterialError
from rotator.model import CERTIFICATE_BACKDATE, Algorithm, Digest, Fingerprint, Json, ProxySpec, User, constant, short


if TYPE_CHECKING:
    from collections.abc import Mapping

SMALLEST_KEY_BITS: Final = 2048
TOKEN_BACKDATE: Final = timedelta(seconds=60)
"""How long before its making a token begins: Qlik documents no allowance for clocks that differ."""
EARLIEST: Final = datetime(1950, 1, 1, tzinfo=UTC)
"""The first year that certificates are of (RFC 5280, 4.1.2.5); what says the year 1 leaves no room to reckon with."""
_PUBLIC_EXPONENT: Final = 65537
_CERTIFICATE_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_CERTIFICATE_END: Final = "-----END CERTIFICATE-----"


class PublicKey:
    """The public side of an RSA key."""

    __slots__ = ("_key", "fingerprint")

    def __init__(self, key: rsa.RSAPublicKey) -> None:
        self._key = key
        self.fingerprint = Fingerprint(hashlib.sha256(self._encoded(serialization.Encoding.DER)).hexdigest())

    @property
    def kid(self) -> str:
        """The JWK thumbprint, base64url without padding (RFC 7638)."""
        canonical = json.dumps(self._required_jwk(), separators=(",", ":"), sort_keys=True)
        return _base64url(hashlib.sha256(canonical.encode("ascii")).digest())

    def jwk(self, algorithm: Algorithm) -> dict[str, str]:
        """The key as a JSON Web Key (RFC 7517)."""
        return {**self._required_jwk(), "kid": self.kid, "use": "sig", "alg": algorithm.value}

    def _required_jwk(self) -> dict[str, str]:
        numbers = self._key.public_numbers()
        return {
            "e": _base64url(numbers.e.to_bytes((numbers.e.bit_length() + 7) // 8)),
            "kty": "RSA",
            "n": _base64url(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)),
        }

    def to_pem(self) -> str:
        """The key as SubjectPublicKeyInfo PEM."""
        return self._encoded(serialization.Encoding.PEM).decode("ascii")

    def _encoded(self, encoding: serialization.Encoding) -> bytes:
        return self._key.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


class PrivateKey:
    """An RSA private key in memory. Its text form shows the short fingerprint and nothing else."""

    __slots__ = ("_key", "public")

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key())

    def __repr__(self) -> str:
        return f"<PrivateKey {short(self.fingerprint)}>"

    def __reduce__(self) -> str:
        raise TypeError("a private key is never pickled")

    @classmethod
    def generate(cls, bits: int) -> "PrivateKey":
        """A new key of `bits` bits. May run in a thread: the search for primes releases the interpreter lock."""
        return cls(rsa.generate_private_key(_PUBLIC_EXPONENT, bits))

    @classmethod
    def from_item(cls, text: str) -> "PrivateKey":
        """The key from its keyring form, see `to_item`. Raises KeyMaterialError."""
        try:
            data = base64.b64decode(text, validate=True)
            # The keyring gave back what rotator stored and proved, or a fingerprint check refuses it: the costly
            # test of the primes (0.3 s for 4096 bits) is done once, when a key of unknown origin is read.
            key = serialization.load_der_private_key(data, None, unsafe_skip_rsa_key_validation=True)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise KeyMaterialError("the stored text is not a private key in base64 DER (PKCS#8)") from None
        return cls(_rsa(key))

    @classmethod
    def from_file_bytes(cls, data: bytes) -> "PrivateKey":
        """A key of unknown origin in PEM or DER, validated. Raises KeyMaterialError."""
        # OpenSSL writes what a PKCS#12 file says of a key before its PEM, editors of Windows a byte order mark.
        pem = b"-----BEGIN " in data
        load = serialization.load_pem_private_key if pem else serialization.load_der_private_key
        try:
            key = _rsa(load(data, None))
        except TypeError:
            raise KeyMaterialError(
                "the private key is encrypted",
                hint="decrypt it into a pipe: openssl pkey -in KEY | rotator adopt NAME --key -",
            ) from None
        except (ValueError, UnsupportedAlgorithm):
            raise KeyMaterialError(
                "this is no private key that can be read",
                hint="give the RSA private key in PEM or DER (PKCS#8 or PKCS#1), not the certificate",
            ) from None
        if key.key_size < SMALLEST_KEY_BITS:
            raise KeyMaterialError(
                f"the RSA key has {key.key_size} bits, fewer than {SMALLEST_KEY_BITS}",
                hint="replace it: rotator adopt NAME --replace-key",
            )
        return cls(key)

    @property
    def bits(self) -> int:
        """The size of the modulus in bits."""
        return self._key.key_size

    @property
    def fingerprint(self) -> Fingerprint:
        """The SHA-256 of the public key."""
        return self.public.fingerprint

    def to_item(self) -> str:
        """The keyring form: PKCS#8 DER as one line of base64, as some keyring files do not survive several lines."""
        der = self._key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return base64.b64encode(der).decode("ascii")

    def to_pem(self) -> bytes:
        """The private key as PKCS#8 PEM, for those who asked for it by name: an export or a configured hook."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def sign(self, data: bytes) -> bytes:
        """An RS256 signature (RFC 7518, 3.3)."""
        return self._key.sign(data, padding.PKCS1v15(), hashes.SHA256())

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` is this key's RS256 signature of `data`."""
        try:
            self._key.public_key().verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True

    def certificate(self, name: str, days: int, now: datetime) -> str:
        """A self-signed certificate for the public key: one PEM block, LF line ends.

        Valid from an hour before `now` (UTC) until `days` days after it; a random serial number; common name `name`.
        """
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        public = self._key.public_key()
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=False,
            crl_sign=False,
            encipher_only=False,
            decipher_only=False,
        )
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - CERTIFICATE_BACKDATE)
            .not_valid_after(now + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return built.public_bytes(serialization.Encoding.PEM).decode("ascii")

    def token(self, claims: "Mapping[str, Json]", algorithm: Algorithm) -> str:
        """The claims as a signed JWT (RFC 7519) with this key's kid in its header."""
        import jwt  # noqa: PLC0415 - most commands sign nothing, and it takes 30 ms

        return jwt.encode(dict(claims), self._key, algorithm=algorithm.value, headers={"kid": self.public.kid})


@dataclass(frozen=True, slots=True)
class CertificateInfo:
    """What a certificate says: whose key it carries and from when to when it is valid (UTC).

    `pem` is the certificate encoded anew: one PEM block, LF line ends, and nothing around it.
    """

    public: PublicKey
    not_before: datetime
    not_after: datetime
    pem: str

    @property
    def fingerprint(self) -> Fingerprint:
        """That of the public key."""
        return self.public.fingerprint


def inspect_certificate(text: str) -> CertificateInfo | None:
    """The first certificate in `text`, whatever stands around it; None where none with an RSA key can be read."""
    start = text.find(_CERTIFICATE_BEGIN)
    end = text.find(_CERTIFICATE_END, start)
    if start < 0 or end < 0:
        return None
    # Some tools join the lines with blanks, which PEM readers refuse; base64 itself does not mind.
    body = "".join(text[start + len(_CERTIFICATE_BEGIN) : end].split())
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode(body, validate=True))
        public = certificate.public_key()
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        return None
    if not isinstance(public, rsa.RSAPublicKey):
        return None
    return CertificateInfo(
        public=PublicKey(public),
        not_before=max(begins, EARLIEST),
        not_after=max(ends, EARLIEST),
        pem=certificate.public_bytes(serialization.Encoding.PEM).decode("ascii"),
    )


def own_certificate(spec: ProxySpec, key: PrivateKey, now: datetime) -> str:
    """A certificate of `key` as rotator makes them for a virtual proxy, valid as configured; see `certificate`."""
    return key.certificate(f"rotator {spec.prefix}", spec.rotation.certificate_days, now)


def digest(text: str) -> Digest:
    """The name under which the keyring keeps a certificate's exact text."""
    return Digest(hashlib.sha256(text.encode("utf-8")).hexdigest())


def user_claims(spec: ProxySpec, user: User) -> dict[str, Json]:
    """The claims that make a token log in as `user`; a claim name in brackets is a constant and takes none."""
    pairs = ((spec.user_id_claim, user.id), (spec.user_directory_claim, user.directory))
    return {claim: value for claim, value in pairs if constant(claim) is None}


def timed_claims(now: datetime, ttl: timedelta, *, audience: str = "") -> dict[str, Json]:
    """The registered claims of a token that lives from just before `now` (the server's time) for `ttl`."""
    claims: dict[str, Json] = {
        "iat": int(now.timestamp()),
        "nbf": int((now - TOKEN_BACKDATE).timestamp()),
        "exp": int((now + ttl).timestamp()),
    }
    return {**claims, "aud": audience} if audience else claims


def expiry(claims: "Mapping[str, Json]") -> datetime:
    """When a token with these claims ends, UTC."""
    seconds = claims["exp"]
    assert isinstance(seconds, int)  # noqa: S101 - `timed_claims` made it
    return datetime.fromtimestamp(seconds, UTC)


def _rsa(key: object) -> rsa.RSAPrivateKey:
    if not isinstance(key, rsa.RSAPrivateKey):
        raise KeyMaterialError(
            "the private key is not an RSA key",
            hint="a virtual proxy takes RS256, RS384 and RS512 only: give an RSA key",
        )
    return key


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
