"""RSA keys made once and used by every world in turn: making one takes longer than a whole rotation."""

from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa


BITS: Final = 2048
_KEYS: list[rsa.RSAPrivateKey] = []
_OTHERS: dict[int, rsa.RSAPrivateKey] = {}


def key(index: int) -> rsa.RSAPrivateKey:
    """The key of this number, the same in every world."""
    while len(_KEYS) <= index:
        _KEYS.append(rsa.generate_private_key(65537, BITS))
    return _KEYS[index]


def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """One key of another size."""
    if bits not in _OTHERS:
        _OTHERS[bits] = rsa.generate_private_key(65537, bits)
    return _OTHERS[bits]
