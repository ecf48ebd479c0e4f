"""Answers that no Qlik Sense gives: generated from a seed, each case the answers to the requests of one operation."""

import base64
import gzip
import json
import random
from collections.abc import Callable, Collection, Sequence
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from qlik_answers import proper
from rubbish import Rubbish, certificates


TOKEN: Final = (
    "eyJhbGciOiJSUzI1NiJ9.eyJ1c2VySWQiOiJwcm9iZSJ9." + "c2lnbmF0dXJlIHRoYXQgbm9ib2R5IG1heSBzZWUgYW55d2hlcmU" * 3
)
"""What the client shows as its token."""
LIMIT: Final = 0.4
"""Seconds for an exchange, in place of a minute."""
MB: Final = 1 << 20

DATES: Final = [
    "", "yesterday", "Mon, 01 Jan 9999 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 1000 00:00:00 GMT",
    "Mon, 01 Jan 2024 00:00:00 +999999999999", "Mon, 99 Jan 2024 99:99:99 GMT", "Mon, 01 Jan 2024 00:00:00 -0000",
    "Mon, 01 Jan 99999999999999999999 00:00:00 GMT", "0", "\xff\xfe", "Mon, 01 Jan 2024 00:00:00 " + "9" * 5000,
    "Sun, 06 Nov 1994 08:49:37 GMT" * 1000,
]  # fmt: skip
STATUSES: Final = [
    200, 201, 202, 204, 205, 206, 226, 300, 301, 302, 304, 307, 308, 400, 401, 403, 404, 405, 407, 409, 410, 418, 421, 429,
    451, 500, 501, 502, 503, 504, 511, 599, 600, 999,
]  # fmt: skip
PAGE: Final = b"<html><style>p{}</style><body><h1>Bad request</h1>" + b"<p>&nbsp;</p>" * 6800 + b"</body></html>"


class Answers:
    """The answers of all cases under one seed."""

    def __init__(self, seed: str, operations: Sequence[str], deciding: Collection[str] = ()) -> None:
        self._seed = seed
        self._deciding = deciding
        self._operations = operations
        self._certificates = certificates()
        spaces = b" " * (40 * MB)
        self._bombs = [
            (gzip.compress(spaces), "gzip"),
            (gzip.compress(gzip.compress(spaces)), "gzip, gzip"),
            (gzip.compress(b"[" + b"[]," * (10 * MB) + b"[]]"), "gzip"),
            (gzip.compress(b"[" * MB), "gzip"),
            (b"not gzip at all", "gzip"),
            (gzip.compress(b"{}")[:-4], "gzip"),
            (b"{}", "br"),
            (b"{}", "deflate"),
        ]

    def case(self, number: int) -> "Case":
        """One case, the same again under the same seed."""
        chance = random.Random(f"{self._seed}:{number}")
        operation = chance.choice(self._operations)
        rubbish = Rubbish(chance, self._certificates)
        return Case(chance, operation, rubbish, self._bombs, mistyped=operation in self._deciding)


class Case:
    """The answers to the requests of one operation, one after the other; half of them are proper, to get further in.

    With `mistyped` most of the others pass for proper until somebody looks into their lists.
    """

    def __init__(
        self,
        chance: random.Random,
        operation: str,
        rubbish: Rubbish,
        bombs: list[tuple[bytes, str]],
        *,
        mistyped: bool,
    ) -> None:
        self._chance = chance
        self._rubbish = rubbish
        self._bombs = bombs
        self._mostly_mistyped = mistyped
        self.operation = operation

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request, somehow."""
        length = int(handler.headers.get("Content-Length", 0))
        if length:
            handler.rfile.read(length)
        status, body, headers = proper(handler.command, handler.path)
        if self._chance.random() < 0.45:
            _send(handler, status, b"" if body is None else json.dumps(body).encode(), list(headers.items()))
            return
        kinds = (
            (self._mutated,) * 7
            + (self._mistyped,) * (20 if self._mostly_mistyped else 2)
            + (self._said,) * 4
            + (self._headed, self._headed, self._bomb, self._broken, self._json)
        )
        self._chance.choice(kinds)(handler, status, body, list(headers.items()))

    def _mutated(self, handler: BaseHTTPRequestHandler, status: int, body: Any, headers: list[tuple[str, str]]) -> None:
        """The proper body with some of its values replaced."""
        changed = self._rubbish.mutated(body)
        text = json.dumps(changed, ensure_ascii=self._chance.random() < 0.8)
        _send(handler, status if body is not None else 200, text.encode("utf-8", "surrogatepass"), headers)

    def _mistyped(
        self, handler: BaseHTTPRequestHandler, status: int, body: Any, headers: list[tuple[str, str]]
    ) -> None:
        _send(handler, status, json.dumps(self._rubbish.mistyped(body)).encode(), headers)

    def _said(self, handler: BaseHTTPRequestHandler, _: int, body: Any, headers: list[tuple[str, str]]) -> None:
        """Any status with any text: pages, what was sent, what was never asked for."""
        shown = handler.headers.get("Authorization", "Bearer " + TOKEN).partition(" ")[2].encode()
        texts = [
            PAGE,
            b"",
            b"<" * 20_000,
            b"<style" * 10_000,
            b"<html>" + bytes(self._chance.randbytes(2000)),
            self._chance.randbytes(self._chance.randint(1, 5000)),
            b"you sent " + shown,
            b"you sent " + base64.b64encode(b"Bearer " + shown),
            b"you sent " + shown.hex().encode(),
            b"you sent <b>" + shown.partition(b".")[2] + b"</b>",
            b"you have too many sessions active in parallel " + shown,
            b"-----BEGIN RSA PRIVATE KEY-----\n" + base64.b64encode(self._chance.randbytes(600)),
            base64.b64encode(self._chance.randbytes(600)),
            b"\x1b]0;title\x07\x1b[2J\x9b31m",
            "\u202egnirts \u2066 \u00a0\ufeff".encode() * 50,
            json.dumps(body).encode(),
            b"x" * (2 * MB),
        ]
        status = self._chance.choice(STATUSES)
        location = [
            ("Location", self._chance.choice(["/login", "https://elsewhere.invalid/", "//", "\x7f", "x" * 9000]))
        ]
        _send(handler, status, self._chance.choice(texts), headers + (location if 300 <= status < 400 else []))

    def _headed(self, handler: BaseHTTPRequestHandler, status: int, body: Any, headers: list[tuple[str, str]]) -> None:
        """The proper body under headers that are too many, too long, or nonsense."""
        cookies = [("Set-Cookie", f"c{number}={'v' * self._chance.choice([1, 100, 4000])}") for number in range(95)]
        odd = [";;;", "=", "=x", "x", "x=\xe9\xff", "x=a b;c", 'x="', "\x01=\x02", "X-Qlik-Session-jwt=" + "s" * 60_000]
        floods: list[list[tuple[str, str]]] = [
            [("Date", self._chance.choice(DATES))],
            [("Date", self._chance.choice(DATES))],
            cookies,
            [("Set-Cookie", text) for text in odd],
            [(f"X-{number}", "y") for number in range(150)],
            [(f"X-{number}", "y" * 60_000) for number in range(90)],
            [("X-Long", "y" * 70_000)],
            [("qlik-csrf-token", self._chance.choice(["", "\xe9", "t" * 60_000, " x ", "a\x0bb"]))],
            [("Content-Type", "text/html; charset=utf-7")],
            [("Content-Length", self._chance.choice(["-1", "x", "1e9", "99999999999999999999", "0", "5, 7"]))],
            [("Transfer-Encoding", "chunked"), ("Content-Length", "3")],
            [("Connection", "upgrade"), ("Upgrade", "h2c")],
            [("No colon here", "")],
        ]
        _send(
            handler, status, b"" if body is None else json.dumps(body).encode(), headers + self._chance.choice(floods)
        )

    def _bomb(self, handler: BaseHTTPRequestHandler, status: int, _: Any, headers: list[tuple[str, str]]) -> None:
        data, encoding = self._chance.choice(self._bombs)
        _send(handler, status if status != 204 else 200, data, [*headers, ("Content-Encoding", encoding)])

    def _json(self, handler: BaseHTTPRequestHandler, _: int, body: Any, headers: list[tuple[str, str]]) -> None:
        """JSON that parsers disagree about."""
        text = json.dumps(body)
        forms = [
            b"[" * 100_000,
            b'{"a":' * 100_000,
            b"[[" + b"]" * 5,
            text.encode("utf-16"),
            text.encode("utf-32"),
            b"\xef\xbb\xbf" + text.encode(),
            text.encode().replace(b'"', b"'"),
            text.encode()[: len(text) // 2],
            text.encode() + text.encode(),
            text.encode()[:-1] + b',"id":1,"id":2,"prefix":"a"}',
            text.encode().replace(b": ", b": \xff", 1),
            b"NaN",
            b"-" * 1000,
            b"9" * 5000,
            b"1e999999",
            b'"\\ud800"',
            b'{"userId": "' + b"p" * 500_000 + b'", "userDirectory": "\\u0000"}',
            b'{"userId": {"a": 1}, "userDirectory": ["ROTATOR"]}',
            b"null",
        ]
        _send(handler, 200, self._chance.choice(forms), headers)

    def _broken(self, handler: BaseHTTPRequestHandler, _: int, body: Any, __: list[tuple[str, str]]) -> None:
        """What is not HTTP, is cut short, or never ends."""
        text = json.dumps(body).encode()
        endings: list[Callable[[], None]] = [
            lambda: None,
            lambda: _raw(handler, b"SSH-2.0-OpenSSH_9.2\r\n"),
            lambda: _raw(handler, b"HTTP/1.1 abc OK\r\n\r\n"),
            lambda: _raw(handler, b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n{}"),
            lambda: _raw(handler, b"HTTP/1.1 200 " + b"o" * 70_000 + b"\r\n\r\n"),
            lambda: _raw(handler, b"\x00" * 5000),
            lambda: _raw(handler, b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n" + text[:40]),
            lambda: _raw(handler, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + text),
            lambda: _raw(handler, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + text),
            lambda: _raw(handler, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"),
            lambda: _raw(handler, b"HTTP/1.1 100 Continue\r\n\r\n" * 3000),
            lambda: _raw(handler, b"HTTP/1.1 200 OK\r\nX: " + bytes([10, 13, 10]) * 200),
            lambda: _drip(handler, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
            lambda: _drip(handler, b"HTTP/1.1 200 OK\r\nX: "),
            lambda: _drip(handler, b""),
        ]
        self._chance.choice(endings)()
        handler.close_connection = True


def _send(handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
    """As it is told: nothing is checked, so that nothing is too wrong to be sent."""
    named = {name for name, _ in headers}
    lines = [f"HTTP/1.1 {status} Said".encode()]
    lines += [f"{name}: {value}".encode("latin-1", "replace") for name, value in headers]
    if not {"Content-Length", "Transfer-Encoding"} & named and status != 204:
        lines.append(b"Content-Length: %d" % len(body))
    handler.wfile.write(b"\r\n".join(lines) + b"\r\n\r\n" + (b"" if status == 204 else body))


def _raw(handler: BaseHTTPRequestHandler, data: bytes) -> None:
    handler.wfile.write(data)


def _drip(handler: BaseHTTPRequestHandler, begin: bytes) -> None:
    """A byte now and then, for longer than anybody waits."""
    handler.wfile.write(begin)
    for _ in range(20):
        handler.wfile.write(b"x")
        handler.wfile.flush()
        handler.server.idle.wait(LIMIT / 8)  # type: ignore[attr-defined]
