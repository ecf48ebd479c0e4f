"""HTTPS exchanges with one server: a deadline for the whole exchange, a largest answer, no redirects, no environment."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import DefaultCookiePolicy
from ssl import SSLContext
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from rotator.errors import ServerError, ServerUnreachable, UnexpectedAnswer
from rotator.ports import LARGEST_OFFSET
from rotator.qlik.failures import mapped, no_room
from rotator.qlik.routes import Route


log = logging.getLogger(__name__)
CONNECT_LIMIT: Final = 10.0
"""Seconds for the connection and its handshake."""
EXCHANGE_LIMIT: Final = 60.0
"""Seconds for a whole exchange: the first answer of a cold proxy takes up to 21."""
LARGEST_LIST: Final = 16 * 1024 * 1024
LARGEST_ANSWER: Final = 1024 * 1024
"""Bytes, after decompression: the largest known page of Qlik has 88 KB."""
_CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Header names are in small letters; `cookies` are those it sets."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str] = field(repr=False)
    cookies: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The body, whatever its encoding claims to be."""
        return self.body.decode("utf-8", "replace")


class _Adapter(HTTPAdapter):
    """Uses one prepared context and no other trust: requests would load a bundle of its own into it."""

    def __init__(self, context: SSLContext, name: str) -> None:
        self._context = context
        self._name = name
        super().__init__(pool_connections=1, pool_maxsize=4, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as requests has it
        # With assert_hostname urllib3 would switch the context's own check of the name off and do one of its own.
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context, server_hostname=self._name)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:  # noqa: ANN401, ARG002 - as above
        conn.cert_reqs = "CERT_REQUIRED"


class _Session(requests.Session):
    """Looks at no redirect: to know where one leads requests reads its whole body, of any size."""

    def get_redirect_target(self, resp: requests.Response) -> None:  # noqa: ARG002 - as requests has it
        return None


_made = threading.local()


def exchanges() -> int:
    """How many requests the calling thread has made so far, on all routes."""
    return int(getattr(_made, "count", 0))


class Transport:
    """One server, reached by one route. May be used from one thread at a time.

    `shown` stands for every path in messages, logs and answers, where paths are secret.
    """

    def __init__(self, route: Route, context: SSLContext, *, shown: str | None = None) -> None:
        self.route = route
        self._shown = shown
        self._context = context
        self.clock_offset: float | None = None
        self._session = self._connected()

    def _connected(self) -> requests.Session:
        session = _Session()
        session.trust_env = False
        session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        session.headers.clear()
        session.mount("https://", _Adapter(self._context, self.route.name))
        return session

    def refresh(self) -> None:
        """Drop pooled connections."""
        self._session.close()
        self._session = self._connected()

    def exchange(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        data: bytes | None = None,
        largest: int = LARGEST_ANSWER,
        limit: float = EXCHANGE_LIMIT,
    ) -> Answer:
        """Send a request and read its whole answer, of any status.

        A GET whose kept connection turns out to be dead is sent once more. Raises ServerError: ServerUnreachable,
        TlsError, UnexpectedAnswer.
        """
        sent = {"Host": self.route.host, "User-Agent": "rotator", "Accept-Encoding": "gzip", **(headers or {})}
        arguments = {"params": dict(params or {}), "headers": sent, "data": data}
        try:
            answer = self._limited(method, path, arguments, largest, limit)
        except ServerUnreachable as error:
            if method != "GET" or not error.cut:
                raise
            self.refresh()
            answer = self._limited(method, path, arguments, largest, limit)
        self._note_date(answer)
        log.log(logging.DEBUG if method == "GET" else logging.INFO, "%s %s: %s", method, answer.url, answer.status)
        return answer

    def _limited(self, method: str, path: str, arguments: Mapping[str, Any], largest: int, limit: float) -> Answer:
        """The exchange in a thread of its own, left behind at the deadline.

        Neither a resolver nor a server that sends a byte now and then may hold rotator up.
        """
        _made.count = exchanges() + 1
        done: list[Answer] = []
        failed: list[ServerError] = []
        session = self._session

        def run() -> None:
            try:
                done.append(self._exchange(session, method, path, arguments, largest))
            except ServerError as error:
                failed.append(error)

        thread = threading.Thread(target=run, daemon=True, name="rotator-exchange")
        try:
            thread.start()
        except RuntimeError:
            raise no_room(self.route) from None
        thread.join(limit)
        if failed:
            raise failed[0] from None
        if done:
            return done[0]
        self._session = self._connected()
        raise ServerUnreachable(
            f"{self.route.host} gave no whole answer to {method} {self._told(path)} within {limit:.0f} s",
            hint="see that the server is up and not overloaded",
        )

    def _exchange(
        self, session: requests.Session, method: str, path: str, arguments: Mapping[str, Any], largest: int
    ) -> Answer:
        told = self._told(path)
        url = self.route.base + told
        try:
            with session.request(
                method,
                self.route.base + path,
                **arguments,
                timeout=(CONNECT_LIMIT, EXCHANGE_LIMIT),
                allow_redirects=False,
                stream=True,
            ) as response:
                body = bytearray()
                while chunk := response.raw.read(_CHUNK, decode_content=True):
                    body += chunk
                    if len(body) > largest:
                        raise UnexpectedAnswer(
                            f"{self.route.host} answers {method} {told} with more than {largest} bytes",
                            hint="is this the right server and port?",
                        )
                raw = response.raw.headers
                return Answer(
                    method=method,
                    url=url,
                    status=response.status_code,
                    headers={name.lower(): value for name, value in raw.items()},
                    cookies=dict(_cookie(line) for line in raw.getlist("Set-Cookie") if "=" in line),
                    body=bytes(body),
                )
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            # The exceptions of requests carry the request, and with it its Authorization header.
            raise mapped(error, self.route, f"{method} {told}") from None

    def _told(self, path: str) -> str:
        return path if self._shown is None else self._shown

    def _note_date(self, answer: Answer) -> None:
        try:
            told = parsedate_to_datetime(answer.headers["date"])
            offset = (told - datetime.now(UTC)).total_seconds()
        except (KeyError, ValueError, TypeError, OverflowError):
            return
        self.clock_offset = max(-LARGEST_OFFSET, min(offset, LARGEST_OFFSET))


def _cookie(line: str) -> tuple[str, str]:
    name, _, rest = line.partition("=")
    return name.strip(), rest.partition(";")[0].strip()
