"""Values that no Qlik Sense answers with, and proper bodies that some of them were put into."""

import base64
import copy
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID


RUBBISH: Final[list[Any]] = [
    None, True, False, 0, -1, 1.5, float("nan"), float("inf"), -(10**30), 10**400, 65536, "", " ", "x", "4", "0", "true",
    "\x00", "\x1b[31mred\x1b[0m", "\r\nX-Injected: yes", "é" * 50, "a" * 100_000, "../../etc/passwd", "<script>x</script>",
    "evil.invalid/x?", "user@evil.invalid", "[::1", "..", ".localhost", "a" * 64 + ".localhost", "\ud800", "\u202e",
    [], [None], [[]], [{}], {}, {"id": {}}, {"": ""}, [0] * 1000,
]  # fmt: skip
LISTS: Final = {
    "loadBalancingServerNodes", "tags", "customProperties", "jwtAttributeMap", "websocketCrossOriginWhiteList", "roles",
    "virtualProxies", "privileges",
}  # fmt: skip
"""Fields that hold lists, or null."""
READ: Final = {
    "id", "prefix", "jwtPublicKeyCertificate", "modifiedDate", "hostName", "listenPort", "settings", "userId",
}  # fmt: skip
"""Fields that rotator reads."""


class Rubbish:
    """What comes to `chance`, one thing after the other; `certificates` are those that may stand in a body."""

    def __init__(self, chance: random.Random, certificates: list[str]) -> None:
        self._chance = chance
        self._certificates = certificates

    def mutated(self, body: Any) -> Any:
        """A copy of the body with some of its values replaced."""
        changed = copy.deepcopy(body)
        for _ in range(self._chance.randint(1, 3)):
            changed = self._replaced(changed)
        return changed

    def mistyped(self, body: Any) -> Any:
        """A copy of the body with items of wrong types in the lists that it is known to hold."""
        changed = copy.deepcopy(body)
        for entity in _entities(changed):
            for name in sorted(LISTS & entity.keys()):
                if self._chance.random() < 0.5:
                    entity[name] = [*(entity[name] or []), *(self._mistype() for _ in range(3))]
        return changed

    def _replaced(self, value: Any) -> Any:
        inner = (
            list(value.items())
            if isinstance(value, dict)
            else list(enumerate(value))
            if isinstance(value, list)
            else []
        )
        if not inner or self._chance.random() < 0.12:
            return self._any()
        wanted = [pair for pair in inner if pair[0] in READ]
        key, item = self._chance.choice(wanted if wanted and self._chance.random() < 0.5 else inner)
        if key == "jwtPublicKeyCertificate":
            value[key] = self._chance.choice([self._any(), *self._certificates])
        elif isinstance(value, dict) and self._chance.random() < 0.1:
            del value[key]
        else:
            value[key] = self._replaced(item)
        return value

    def _any(self) -> Any:
        """A copy, since it may be changed in its turn."""
        return copy.deepcopy(self._chance.choice(RUBBISH))

    def _mistype(self) -> Any:
        field = self._chance.choice(("id", "id", "id", "jwtAttribute", "senseAttribute", "hostName"))
        value = self._chance.choice([{}, [], {"id": {}}, self._any(), self._any()])
        return self._chance.choice([{field: value}, {field: value}, value])


def certificates() -> list[str]:
    """Certificates that no virtual proxy should hold, all of them well-formed enough to be tempting."""

    def made(key: Any, days: int, name: str) -> str:
        now = datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=9000))
            .not_valid_after(now + timedelta(days=days))
            .sign(key, hashes.SHA256())
        )
        return built.public_bytes(serialization.Encoding.PEM).decode()

    curve, small = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
    good = made(small, 1000, "x")
    body = "".join(good.split("\n")[1:-2])
    damaged = base64.b64decode(body)
    return [
        made(curve, 1000, "x"),
        good,
        made(small, -1, "x"),
        made(small, 2_900_000, "x"),
        good + good,
        good.replace("\n", " "),
        good.replace("\n", "\r\n"),
        good[:200],
        "-----BEGIN CERTIFICATE-----\n" + "A" * 100_000 + "\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----" * 4000,
        "-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----",
        small.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        *(
            "-----BEGIN CERTIFICATE-----\n"
            + base64.b64encode(damaged[:at] + bytes([damaged[at] ^ 0xFF]) + damaged[at + 1 :]).decode()
            + "\n-----END CERTIFICATE-----\n"
            for at in range(0, len(damaged), 9)
        ),
    ]


def _entities(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in a body."""
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in tuple(inner):
        yield from _entities(item)
