"""The two doors to QRS: its own port with a client certificate, and a virtual proxy with a JWT."""

import json
import logging
import secrets
import string
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

from rotator.errors import AuthenticationFailed, NotFound, PermissionDenied, ServerError
from rotator.model import UNTOLD_CLOCK, User
from rotator.qlik.failures import check
from rotator.qlik.transport import LARGEST_LIST, Answer, Transport


log = logging.getLogger(__name__)
XRF_HEADER: Final = "X-Qlik-Xrfkey"
CSRF_HEADER: Final = "qlik-csrf-token"
_ALPHABET: Final = string.ascii_letters + string.digits
_XRF_LENGTH: Final = 16
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403


def xrf_key() -> str:
    """16 random letters and digits: in query and header alike, they show that no web page made the request."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_XRF_LENGTH))


class CertificateDoor:
    """QRS or QPS on their own port. The client certificate gives full rights; the header says in whose name."""

    direct = True

    def __init__(self, transport: Transport, user: User) -> None:
        self.transport = transport
        self._user = f"UserDirectory={quote(user.directory, safe='')}; UserId={quote(user.id, safe='')}"

    def ask(self, method: str, path: str, params: Mapping[str, str] | None = None, body: Any = None) -> Answer:  # noqa: ANN401
        """One exchange, its status checked. Raises ServerError."""
        answer = _exchange(self.transport, method, path, params, body, {"X-Qlik-User": self._user})
        check(answer, direct=True)
        return answer

    def close(self) -> None:
        """Nothing is left behind: no session is used."""


Token = Callable[[], str]
"""Signs a token as of now."""


class JwtDoor:
    """QRS through a virtual proxy. One session for all requests, logged out at the end.

    `tokens` are tried in their order, whenever a session is opened: the virtual proxy takes those of one key.
    """

    direct = False

    def __init__(self, transport: Transport, url: str, tokens: Callable[[], Iterable[Token]]) -> None:
        self.transport = transport
        self._prefix = urlsplit(url).path.rstrip("/")
        self._tokens = tokens
        self._token: Token
        self._cookies: dict[str, str] = {}
        self._csrf: str | None = None
        self._opened = False

    def ask(self, method: str, path: str, params: Mapping[str, str] | None = None, body: Any = None) -> Answer:  # noqa: ANN401
        """One exchange, its status checked. Raises ServerError.

        A session that was cut, as by a restart of the proxy, is opened anew, once: a 401 changed nothing.
        """
        if not self._opened:
            self._open()
        answer = self._sent(method, path, params, body)
        try:
            check(answer, direct=False)
        except (AuthenticationFailed, PermissionDenied) as error:
            # Newer releases may want a CSRF token, which an older session was opened without.
            settled = isinstance(error, PermissionDenied) and ("XSRF" in answer.text or self._csrf is not None)
            if settled or answer.status not in (_UNAUTHORIZED, _FORBIDDEN):
                raise
            self._open()
            answer = self._sent(method, path, params, body)
            check(answer, direct=False)
        return answer

    def close(self) -> None:
        """Log the session out, as a user has five at most. Where that fails it ends when it has been idle long enough."""
        if not self._cookies:
            return
        try:
            self.transport.exchange("DELETE", f"{self._prefix}/qps/user", headers=self._headers())
        except ServerError as error:
            log.info("the session was not logged out: %s", error.message)
        finally:
            self._cookies = {}

    def _open(self) -> None:
        """Open a session by a token. Releases without csrftoken answer 404, and take it with the first request."""
        self._cookies, self._csrf = {}, None
        for token in self._tokens():
            self._token = token
            answer = self._shown()
            if answer.status != _UNAUTHORIZED:
                break
        self._opened = True
        self._cookies |= answer.cookies
        self._csrf = answer.headers.get(CSRF_HEADER)
        try:
            check(answer, direct=False)
        except NotFound:
            return

    def _shown(self) -> Answer:
        """What a token is answered. Its times are those of the proxy's clock, which the first answer tells.

        One that was refused before that was known is made anew.
        """
        known = self.transport.clock_offset or 0.0
        answer = self._asked()
        if answer.status == _UNAUTHORIZED and abs((self.transport.clock_offset or 0.0) - known) > UNTOLD_CLOCK:
            answer = self._asked()
        return answer

    def _asked(self) -> Answer:
        return self.transport.exchange(
            "GET", f"{self._prefix}/qps/csrftoken", headers={"Authorization": f"Bearer {self._token()}"}
        )

    def _sent(self, method: str, path: str, params: Mapping[str, str] | None, body: Any) -> Answer:  # noqa: ANN401
        answer = _exchange(self.transport, method, self._prefix + path, params, body, self._headers())
        self._cookies |= answer.cookies
        return answer

    def _headers(self) -> dict[str, str]:
        headers = {CSRF_HEADER: self._csrf} if self._csrf else {}
        if self._cookies:
            return {**headers, "Cookie": "; ".join(f"{name}={value}" for name, value in self._cookies.items())}
        return {**headers, "Authorization": f"Bearer {self._token()}"}


Door = CertificateDoor | JwtDoor


def _exchange(
    transport: Transport,
    method: str,
    path: str,
    params: Mapping[str, str] | None,
    body: Any,  # noqa: ANN401 - JSON
    headers: Mapping[str, str],
) -> Answer:
    key = xrf_key()
    data = None if body is None else json.dumps(body).encode("utf-8")
    sent = {**headers, XRF_HEADER: key, "Accept": "application/json"}
    if data is not None:
        sent["Content-Type"] = "application/json"
    return transport.exchange(
        method, path, params={**(params or {}), "xrfkey": key}, headers=sent, data=data, largest=LARGEST_LIST
    )
