"""What is taken out of texts of others before they are shown: everything that could be a secret, or a piece of one."""

import base64
import binascii
import re
from collections.abc import Iterator, Sequence
from typing import Final


PIECE: Final = 8
"""Characters in a row that a line has in common with a secret where it quotes it: chance alone makes no so long a run."""
_SECRET: Final = re.compile(r"eyJ[\w.=-]+|-----BEGIN.*|[A-Za-z0-9+/=_.-]{40,}", re.DOTALL)
"""Tokens, PEM, and every long run of the characters that base64 and hex are made of."""
_PEM: Final = re.compile(rb"-----BEGIN [^-]+-----(.+?)-----END [^-]+-----", re.DOTALL)
_BORDER: Final = re.compile(rb"-----[^-]+-----")
_BLANK: Final = re.compile(r"\s+")
_BETWEEN_HEX: Final = re.compile(r"[\s:,-]+|0[xX]|\\x")
_URL_SAFE: Final = str.maketrans("-_", "+/")


def redacted(text: str) -> str:
    """A text with `…` in place of everything that looks like a token or key."""
    return _SECRET.sub("…", text)


def without_pieces(lines: Sequence[str], secret: bytes) -> list[str]:
    """The lines that quote no piece of a secret; of a key in PEM neither of what is in it, as `openssl rsa -text` shows it.

    Looked for are PIECE characters in a row of the text itself, of base64 in both alphabets, and of hex with or without
    separators; and fewer, where a line is no more than the end of a text or some digits of hex.
    """
    forms = [secret, *_decoded(secret)]
    texts = [_BLANK.sub("", _BORDER.sub(b"", secret).decode("utf-8", "replace")).translate(_URL_SAFE)]
    texts += [text for form in forms for text in _base64(form)]
    hexes = [form.hex() for form in forms]
    in_text = {piece for text in texts for piece in _pieces(text)}
    in_hex = {piece for digits in hexes for piece in _pieces(digits)}

    def quotes(line: str) -> bool:
        text, digits = _BLANK.sub("", line).translate(_URL_SAFE), _BETWEEN_HEX.sub("", line).lower()
        if text and len(text) < PIECE and any(each.endswith(text) for each in texts):
            return True
        if digits and len(digits) < PIECE and any(digits in each for each in hexes):
            return True
        return not (in_text.isdisjoint(_pieces(text)) and in_hex.isdisjoint(_pieces(digits)))

    return [line for line in lines if not quotes(line)]


def _decoded(secret: bytes) -> Iterator[bytes]:
    """What is in the PEM of a secret."""
    for body in _PEM.findall(secret):
        try:
            yield base64.b64decode(body)
        except binascii.Error:
            continue


def _base64(form: bytes) -> Iterator[str]:
    """All of it in base64, and all parts of it, such as the numbers of a JWK: each begins at one of three offsets."""
    for offset in range(3):
        yield base64.b64encode(form[offset:]).decode("ascii")


def _pieces(text: str) -> set[str]:
    return {text[start : start + PIECE] for start in range(len(text) - PIECE + 1)}
