"""What goes wrong on the way to a server and in its answers, as our errors with cause and remedy: the only such place."""

import re
import socket
import ssl
from http.client import RemoteDisconnected
from typing import TYPE_CHECKING, Final, TypeVar

from requests.exceptions import InvalidHeader
from urllib3.exceptions import DecodeError, IncompleteRead, NewConnectionError, ProtocolError

from rotator.errors import (
    AuthenticationFailed,
    BadRequest,
    Conflict,
    NotFound,
    PermissionDenied,
    ServerError,
    ServerFault,
    ServerUnreachable,
    TlsError,
    UnexpectedAnswer,
)
from rotator.qlik.routes import Route
from rotator.redaction import redacted


if TYPE_CHECKING:
    from collections.abc import Iterator

    from rotator.qlik.transport import Answer

E = TypeVar("E", bound=ServerError)
EXCERPT: Final = 200
_TAGS: Final = re.compile(r"<(style|script)\b.*?(?:</\1>|\Z)|<[^>]*>", re.DOTALL | re.IGNORECASE)
_MARKUP: Final = re.compile(r"[<>*`~|]|(?<![^\W_])_|_(?![^\W_])")
"""An underscore is none between letters and digits, as in the names of fields."""
_WWW: Final = re.compile(r"(www)\.", re.IGNORECASE)
_REFUSALS: Final = ("CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE", "ACCESS_DENIED")
"""In the names of the alerts that a server sends over a client certificate (RFC 8446, 6.2)."""
_TOO_MANY: Final = 429
_SERVER_FAULT: Final = 500


def mapped(error: BaseException, route: Route, doing: str) -> ServerError:
    """An exception of requests, urllib3, ssl or socket, while `doing` something, as `GET /path`.

    The request itself, which the exception may carry, is left behind. The error is `unsent` where there was no
    connection that it could have gone through, or the server was not trusted with it.
    """
    chain = list(_chain(error))
    certificate = next((item for item in chain if isinstance(item, ssl.SSLCertVerificationError)), None)
    if certificate is not None:
        return _untrusted(certificate, route)
    if any(isinstance(item, ssl.SSLEOFError | RemoteDisconnected | ConnectionError) for item in chain) and not any(
        isinstance(item, ConnectionRefusedError) for item in chain
    ):
        cut = ServerUnreachable(
            f"{route.host} cut the connection in the middle of {doing}",
            hint="it restarts, or refuses the client certificate: try again, then see rotator doctor",
        )
        cut.cut = True
        return cut
    tls = next((item for item in chain if isinstance(item, ssl.SSLError)), None)
    if tls is not None:
        return _handshake(tls, route)
    if any(isinstance(item, socket.gaierror) for item in chain):
        return _unsent(f"the name {route.address} cannot be resolved", "see the URL and the DNS of this machine")
    if any(isinstance(item, ConnectionRefusedError) for item in chain):
        return _unsent(
            f"{route.address}:{route.port} refuses connections", "see that the service is up and the port right"
        )
    if any(isinstance(item, TimeoutError) or "timed out" in str(item) for item in chain):
        return ServerUnreachable(
            f"{route.address}:{route.port} does not answer in time",
            hint="see firewall and load, then try again",
        )
    if any(isinstance(item, IncompleteRead) for item in chain):
        return UnexpectedAnswer(
            f"the answer of {route.host} to {doing} was cut short",
            hint="try again; then see what is between here and the server",
        )
    if any(isinstance(item, DecodeError | ProtocolError | InvalidHeader) for item in chain):
        return UnexpectedAnswer(
            f"{route.host} answers {doing} with something that is not HTTP", hint="is the port right?"
        )
    kinds = ", ".join(dict.fromkeys(type(item).__name__ for item in chain))
    why = next((item.strerror for item in chain if isinstance(item, OSError) and item.strerror), kinds)
    unreached = ServerUnreachable(
        f"{route.address}:{route.port} cannot be reached: {why}",
        hint="see the network of this machine and the URL, then rotator doctor",
    )
    unreached.unsent = any(isinstance(item, NewConnectionError) for item in chain)
    return unreached


def no_room(route: Route) -> ServerUnreachable:
    """The error of a machine that has no thread left to ask with."""
    return _unsent(
        f"{route.address}:{route.port} cannot be asked: this machine has no room for a thread",
        "see its memory and limits (free, ulimit -u), then try again",
    )


def _unsent(message: str, hint: str) -> ServerUnreachable:
    error = ServerUnreachable(message, hint=hint)
    error.unsent = True
    return error


def _chain(error: BaseException | None) -> "Iterator[BaseException]":
    """The exception and everything behind it: causes, contexts, and what urllib3 keeps as `reason` or in its arguments."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        item = waiting.pop()
        if item is None or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        inner = [getattr(item, "reason", None), *item.args]
        waiting += [item.__cause__, item.__context__, *(each for each in inner if isinstance(each, BaseException))]


def _untrusted(error: ssl.SSLCertVerificationError, route: Route) -> TlsError:
    found = _distrusted(error.verify_message or "", route)
    # The server is judged before anything is said to it. Other errors of TLS may end an answer, too.
    found.unsent = True
    return found


def _distrusted(said: str, route: Route) -> TlsError:
    if "ostname mismatch" in said or "IP address mismatch" in said:
        return TlsError(
            f"the certificate of {route.address}:{route.port} is not for the name {route.name}",
            hint='connect by the name in the certificate, or name it: server_name = "NAME" in [site.NAME] for QRS, '
            'host = "NAME" in [site.NAME.probe] for a proxy (openssl s_client -connect '
            f"{route.address}:{route.port} shows it)",
        )
    if "expired" in said:
        return TlsError(f"the certificate of {route.address}:{route.port} has expired", hint="renew it on the server")
    return TlsError(
        f"the certificate of {route.address}:{route.port} is not trusted by {route.ca}: {said}",
        hint='give the root it was issued by: root_ca for QRS, proxy_ca (or "system") for a proxy that shows a bought '
        "certificate",
    )


def _handshake(error: ssl.SSLError, route: Route) -> TlsError:
    reason = (error.reason or str(error)).upper()
    place = f"{route.address}:{route.port}"
    if "PROTOCOL" in reason and "WRONG_VERSION" not in reason:
        return TlsError(f"{place} speaks no TLS 1.2 or newer", hint="enable TLS 1.2 on the server")
    if any(word in reason for word in _REFUSALS):
        return TlsError(
            f"{place} refuses the client certificate ({reason.lower().replace('_', ' ')})",
            hint="export a new one in the QMC under Certificates: it must come from this site's own root",
        )
    if "ALERT" in reason or "MAC" in reason:
        return TlsError(
            f"{place} broke TLS off ({reason.lower().replace('_', ' ')})",
            hint="see what is between here and the server, then try again",
        )
    return TlsError(
        f"{place} speaks no TLS that can be understood ({reason.lower().replace('_', ' ')})",
        hint="is the port right?",
    )


def check(answer: "Answer", *, direct: bool) -> None:
    """Raise the error for an answer that is none of 2xx. `direct`: from QRS itself, not through a proxy."""
    if 200 <= answer.status < 300:  # noqa: PLR2004 - success, RFC 9110
        return
    match answer.status:
        case 401:
            raise failed(AuthenticationFailed, answer, "not logged in", _NO_LOGIN if direct else _NO_WAY)
        case 403 if "XSRF" in answer.text:
            raise failed(PermissionDenied, answer, "the XRF key did not arrive", _DROPPED)
        case 403:
            raise failed(PermissionDenied, answer, "forbidden", _NO_CERTIFICATE if direct else _NO_RIGHTS)
        case 400:
            raise failed(BadRequest, answer, "bad request", _NOT_TAKEN if direct else _NO_PREFIX)
        case 404:
            raise failed(NotFound, answer, "not found", "it was deleted meanwhile, or the user may not see it")
        case 409:
            raise failed(Conflict, answer, "somebody else changed it meanwhile", "try again")
        case status if 300 <= status < 400:  # noqa: PLR2004 - redirections, RFC 9110
            raise failed(AuthenticationFailed, answer, "redirected, probably to a login page", _NO_LOGIN)
        case status if status >= _SERVER_FAULT or status == _TOO_MANY:
            raise failed(
                ServerFault, answer, "the server failed", "see the Repository's log on the server, then try again"
            )
    raise failed(UnexpectedAnswer, answer, "a status that means nothing here", "is this the right server and port?")


def failed(kind: type[E], answer: "Answer", what: str, hint: str) -> E:
    """An error about an answer: what was asked, what that means, the status, and what the body says."""
    said = excerpt(answer.text)
    return kind(
        f"{answer.method} {answer.url}: {what} ({answer.status})" + (f": {said}" if said else ""),
        hint=hint,
    )


_DROPPED = "something between here and the server drops headers or parts of the URL"
_NOT_TAKEN = "QRS does not take what was sent: compare the configuration with the virtual proxy, --plan shows both"
_NO_LOGIN = "see the user and key of this access: rotator doctor"
_NO_WAY = (
    'see the user in [site.NAME.jwt], and by a configuration whose auth is "certificate" whether the virtual proxy that '
    "leads to QRS holds the key that the keyring has: rotator status"
)
_NO_CERTIFICATE = (
    r"the client certificate did not arrive or is not this site's, or the user has no rights: use INTERNAL\sa_api, and a "
    "certificate exported in the QMC of this site"
)
_NO_RIGHTS = "the service user may not do this: see its security rule in the QMC"
_NO_PREFIX = "a proxy answers so where the prefix is unknown or not linked to it and to the central proxy"


def excerpt(text: str) -> str:
    """What a body says, in one short line: nothing unprintable, nothing that looks like a token or key.

    No markup either, of pages or of chat services, which notices go to: mentions and web addresses are broken, and what
    makes text bold, slanted, struck, hidden or code is a question mark.
    """
    plain = " ".join(redacted(_TAGS.sub(" ", text[: 100 * EXCERPT])).split())
    plain = _MARKUP.sub("?", plain.replace("@", "(at)").replace("](", "] (").replace("://", ": //"))
    plain = _WWW.sub(r"\1 .", plain)
    return "".join(character if character.isprintable() else "?" for character in plain)[:EXCERPT]
