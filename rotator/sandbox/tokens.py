"""JWTs as a proxy takes them: RS256, RS384, RS512, one certificate, exp and nbf, the audience where one is set."""

import json
import re
from base64 import urlsafe_b64decode
from datetime import timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from rotator.sandbox.clock import Clock
from rotator.sandbox.repository import Entity
from rotator.sandbox.unknowns import Unknowns


ALGORITHMS: Final = ["RS256", "RS384", "RS512"]
_BLOCK: Final = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class BadToken(Exception):
    """Why a token is refused."""


def identify(
    token: str, virtual_proxy: Entity, unknowns: Unknowns, clock: Clock
) -> tuple[str, str, list[tuple[str, str]]]:
    """Directory, user id and attributes that a token stands for. Raises BadToken."""
    claims = _verified(token, virtual_proxy, unknowns, clock)
    directory = _mapped(claims, virtual_proxy["jwtAttributeUserDirectory"])
    user = _mapped(claims, virtual_proxy["jwtAttributeUserId"])
    attributes: list[tuple[str, str]] = []
    for mapping in virtual_proxy["jwtAttributeMap"]:
        value = claims.get(mapping["jwtAttribute"])
        if value is None and mapping["isMandatory"]:
            raise BadToken(f"the mandatory attribute {mapping['jwtAttribute']} is missing")
        values = value if isinstance(value, list) else [] if value is None else [value]
        attributes += [(mapping["senseAttribute"], str(item)) for item in values]
    return directory, user, attributes


def _verified(token: str, virtual_proxy: Entity, unknowns: Unknowns, clock: Clock) -> dict[str, Any]:
    skew = timedelta(seconds=int(unknowns["clock-skew"]))
    key = _key(virtual_proxy["jwtPublicKeyCertificate"], unknowns, clock)
    try:
        header = json.loads(urlsafe_b64decode(token.split(".", maxsplit=1)[0] + "=="))
        if header.get("alg") not in ALGORITHMS:
            raise BadToken("the algorithm is not supported")
        claims = dict(jwt.decode(token, key, algorithms=ALGORITHMS).claims)
    except (JoseError, ValueError, AttributeError) as error:
        raise BadToken("the signature is not valid") from error
    now = clock.now().timestamp()
    for name, sign in (("exp", 1), ("nbf", -1)):
        at = claims.get(name)
        if at is None:
            continue
        if isinstance(at, bool) or not isinstance(at, int | float) or sign * now >= sign * at + skew.seconds:
            raise BadToken(f"{name} does not hold")
    wanted = virtual_proxy.get("jwtAudience")
    audience = claims.get("aud")
    if wanted and wanted not in (audience if isinstance(audience, list) else [audience]):
        raise BadToken("the audience is another")
    return claims


def _key(text: str, unknowns: Unknowns, clock: Clock) -> jwk.RSAKey:
    blocks = _BLOCK.findall(text)
    if not blocks or (len(blocks) > 1 and unknowns.is_("certificate-blocks", "none")):
        raise BadToken("there is no certificate")
    try:
        certificate = x509.load_pem_x509_certificate(
            blocks[0].replace(" ", "\n").replace("BEGIN\n", "BEGIN ").replace("END\n", "END ").encode()
        )
    except ValueError as error:
        raise BadToken("the certificate cannot be read") from error
    if unknowns.is_("certificate-end", "enforced") and certificate.not_valid_after_utc < clock.now():
        raise BadToken("the certificate has expired")
    pem = certificate.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    try:
        return jwk.RSAKey.import_key(pem)
    except (JoseError, ValueError) as error:
        raise BadToken("the certificate holds no RSA key") from error


def _mapped(claims: dict[str, Any], name: str) -> str:
    """The value of a claim, or the constant in brackets. Names are case-sensitive."""
    if name.startswith("[") and name.endswith("]"):
        return name[1:-1]
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise BadToken(f"the claim {name} is missing")
    return value
