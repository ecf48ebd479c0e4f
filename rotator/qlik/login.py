"""Test logins: who came back, by a fresh cookie jar, and out again. Never the hub, which may assign a licence."""

import json
import logging
from collections.abc import Mapping
from typing import Final

from rotator.errors import ServerError, ServerUnreachable, TlsError
from rotator.model import LoginOutcome, ProxyService, Site, User, Verdict, VirtualProxy
from rotator.qlik import tls
from rotator.qlik.doors import CSRF_HEADER
from rotator.qlik.failures import excerpt
from rotator.qlik.routes import to_proxy
from rotator.qlik.transport import Answer, Transport


log = logging.getLogger(__name__)
TOO_MANY_SESSIONS: Final = "too many sessions"
"""The status that comes with this text is not documented, so the text alone is looked at."""
LOGOUT_LIMIT: Final = 20.0
_OK: Final = 200
_NO_CONTENT: Final = 204
_UNAUTHORIZED: Final = 401
_NOT_FOUND: Final = 404


class ProxyLogins:
    """Implements ports.Logins, with one connection pool per proxy."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._transports: dict[str, Transport] = {}

    def reachable(self, proxy: ProxyService) -> bool:
        """Whether the configuration says that this proxy can be reached from here."""
        return to_proxy(self._site, proxy) is not None

    def clock_offset(self, proxy: ProxyService) -> float | None:
        """Seconds that the proxy's clock is ahead of ours."""
        transport = self._transports.get(proxy.id)
        return transport.clock_offset if transport else None

    def refresh(self) -> None:
        """Drop pooled connections, which a restart of the proxies has made stale."""
        for transport in self._transports.values():
            transport.refresh()

    def attempt(self, proxy: ProxyService, virtual_proxy: VirtualProxy, token: str | None, user: User) -> LoginOutcome:
        """Log in, see who came back, log out. What goes wrong is in the outcome."""
        try:
            visit = _Visit(self._transport(proxy), virtual_proxy.prefix)
        except TlsError as error:
            return LoginOutcome(Verdict.UNREACHABLE, error.message)
        outcome = visit.login(token, user)
        return LoginOutcome(outcome.verdict, outcome.detail, left_session=not visit.logout())

    def _transport(self, proxy: ProxyService) -> Transport:
        transport = self._transports.get(proxy.id)
        if transport is None:
            route = to_proxy(self._site, proxy)
            assert route is not None  # noqa: S101 - callers ask `reachable` first
            transport = self._transports[proxy.id] = Transport(route, tls.trusting(route.ca))
        return transport


class _Visit:
    """One login on one proxy, with the cookies it was given."""

    def __init__(self, transport: Transport, prefix: str) -> None:
        self._transport = transport
        self._prefix = prefix
        self._cookies: dict[str, str] = {}
        self._csrf: str | None = None

    def login(self, token: str | None, user: User) -> LoginOutcome:
        """Show the token to csrftoken, or to user where a release has none; then ask who the session belongs to."""
        bearer = {"Authorization": f"Bearer {token}"} if token is not None else {}
        try:
            answer = self._get("csrftoken", bearer)
            if answer.status == _NOT_FOUND and TOO_MANY_SESSIONS not in answer.text.lower():
                # Before 2023 there is no csrftoken: the token opens the session here, if 404 has not done so already.
                answer = self._get("user", bearer)
            elif answer.status == _NO_CONTENT or (answer.status == _OK and CSRF_HEADER in answer.headers):
                answer = self._get("user", {})
                if answer.status == _UNAUTHORIZED:
                    # The token was taken a moment ago: this 401 is about the session, which a restart may have cut.
                    return LoginOutcome(Verdict.INCONCLUSIVE, "the token was taken, but its session was gone at once")
        except (ServerUnreachable, TlsError) as error:
            return LoginOutcome(Verdict.UNREACHABLE, error.message)
        except ServerError as error:
            return LoginOutcome(Verdict.INCONCLUSIVE, error.message)
        return judged(answer, user)

    def logout(self) -> bool:
        """End the session, if there is one; False where it may live on."""
        if not self._cookies:
            return True
        try:
            answer = self._transport.exchange(
                "DELETE", f"/{self._prefix}/qps/user", headers=self._headers(), limit=LOGOUT_LIMIT
            )
        except ServerError as error:
            log.info("a test session was not logged out: %s", error.message)
            return False
        return answer.status in (_OK, _NO_CONTENT, _UNAUTHORIZED, _NOT_FOUND)

    def _get(self, what: str, bearer: Mapping[str, str]) -> Answer:
        answer = self._transport.exchange("GET", f"/{self._prefix}/qps/{what}", headers={**bearer, **self._headers()})
        self._cookies |= answer.cookies
        self._csrf = answer.headers.get(CSRF_HEADER) or self._csrf
        return answer

    def _headers(self) -> dict[str, str]:
        headers = {CSRF_HEADER: self._csrf} if self._csrf else {}
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        return headers


def judged(answer: Answer, user: User) -> LoginOutcome:
    """The verdict of an answer. Only the right user's name and a plain 401 decide anything."""
    said = excerpt(answer.text)
    if TOO_MANY_SESSIONS in answer.text.lower():
        return LoginOutcome(Verdict.INCONCLUSIVE, f"too many sessions of {user}: they end when idle ({answer.status})")
    if answer.status == _UNAUTHORIZED:
        return LoginOutcome(Verdict.REFUSED, f"401 {said}".strip())
    if 300 <= answer.status < 400:  # noqa: PLR2004 - redirections, RFC 9110
        return LoginOutcome(Verdict.INCONCLUSIVE, f"redirected ({answer.status}), probably to a login page")
    if answer.status != _OK:
        return LoginOutcome(Verdict.INCONCLUSIVE, f"status {answer.status} {said}".strip())
    who = _who(answer)
    if who is None:
        return LoginOutcome(Verdict.INCONCLUSIVE, "an answer that names no user")
    shown = User(excerpt(who.directory), excerpt(who.id))
    if who.same_as(user):
        return LoginOutcome(Verdict.ACCEPTED, f"as {shown}")
    alike = (
        " (it differs in what is not shown)" if shown.same_as(User(excerpt(user.directory), excerpt(user.id))) else ""
    )
    return LoginOutcome(
        Verdict.INCONCLUSIVE, f"logged in as {shown}{alike}, not as {user}: see the claims and test_user"
    )


def _who(answer: Answer) -> User | None:
    """Whom an answer names, letter by letter: to be compared, not to be shown."""
    try:
        told = json.loads(answer.body)
        directory, identity = told["userDirectory"], told["userId"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(directory, str) or not isinstance(identity, str):
        return None
    return User(directory, identity)
