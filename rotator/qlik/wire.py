"""The entities of QRS as values, their types checked; unknown fields survive in the entity."""

import json
import re
from collections.abc import Mapping
from itertools import chain
from typing import Any, Final, TypeVar

from rotator.errors import UnexpectedAnswer
from rotator.keys import inspect_certificate
from rotator.model import Json, Node, ProxyService, VirtualProxy
from rotator.qlik.failures import failed
from rotator.qlik.transport import Answer


T = TypeVar("T")
MOST_VALUES: Final = 1_000_000
"""Values in an answer: the lists of a large site have a tenth of that, and each takes up to 100 bytes of memory."""
MOST_LEVELS: Final = 100
"""Lists and objects within each other: the entities of QRS have a tenth of that, and each level costs all who read it."""
_NAME: Final = re.compile(r"[\w.:-]{1,253}")
"""The characters of host names, of addresses and of ids: nothing that leads a URL elsewhere, or a reader astray.

A host name has at most 253 (RFC 1035, 2.3.4), an id of Qlik 36.
"""
_PORTS: Final = range(1, 1 << 16)
_SURROGATES: Final = re.compile(r"[\ud800-\udfff]")
"""Halves of characters: JSON can hold them, UTF-8 cannot."""


def parsed(answer: Answer) -> Any:  # noqa: ANN401 - JSON of any shape
    """The JSON of an answer. Raises UnexpectedAnswer for HTML, rubbish and what is cut short."""
    if answer.body.lstrip()[:1] == b"<":
        hint = "see that the URL is that of QRS, and the user's login: rotator doctor"
        raise failed(UnexpectedAnswer, answer, "a web page where JSON was due, perhaps a login page", hint)
    if sum(answer.body.count(character) for character in (b",", b"[", b"{")) > MOST_VALUES:
        raise failed(UnexpectedAnswer, answer, "an answer of too many values", "is this the right server and port?")
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        hint = "try again; then see what is between here and the server"
        raise failed(UnexpectedAnswer, answer, "an answer that is not JSON, or is cut short", hint) from None
    if _deeper(found, MOST_LEVELS):
        raise failed(UnexpectedAnswer, answer, "an answer of too many levels", "is this the right server and port?")
    return found


def _deeper(value: Json, most: int) -> bool:
    level = [value]
    for _ in range(most):
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        if not inner:
            return False
        level = [*chain.from_iterable(inner)]
    return any(isinstance(item, dict | list) for item in level)


def many(answer: Answer) -> list[Mapping[str, Any]]:
    """A list of entities."""
    found = parsed(answer)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise _shape(answer, "a list of entities")
    return found


def one(answer: Answer) -> Mapping[str, Any]:
    """One entity."""
    found = parsed(answer)
    if not isinstance(found, dict):
        raise _shape(answer, "an entity")
    return found


def virtual_proxy(entity: Mapping[str, Any], answer: Answer) -> VirtualProxy:
    """A whole virtualproxyconfig. Texts may be null."""
    certificate = _text(entity, "jwtPublicKeyCertificate", answer)
    info = inspect_certificate(certificate) if certificate else None
    whole: Mapping[str, Json] = entity
    return VirtualProxy(
        id=_name(entity, "id", answer),
        prefix=_text(entity, "prefix", answer),
        description=_text(entity, "description", answer),
        session_cookie=_text(entity, "sessionCookieHeaderName", answer),
        method=_field(entity, "authenticationMethod", int, answer),
        default=_field(entity, "defaultVirtualProxy", bool, answer),
        modified=_text(entity, "modifiedDate", answer),
        certificate=certificate,
        audience=_text(entity, "jwtAudience", answer),
        fingerprint=info.fingerprint if info else None,
        not_after=info.not_after if info else None,
        entity=whole,
    )


def proxy_service(entity: Mapping[str, Any], answer: Answer) -> ProxyService:
    """A whole proxyservice."""
    node = _field(entity, "serverNodeConfiguration", dict, answer)
    settings = _field(entity, "settings", dict, answer)
    linked = _field(settings, "virtualProxies", list, answer)
    if not all(isinstance(item, dict) for item in linked):
        raise _shape(answer, "entities in settings.virtualProxies")
    return ProxyService(
        id=_name(entity, "id", answer),
        host=_name(node, "hostName", answer),
        central=node.get("isCentral") is True,
        listen_port=_port(settings, "listenPort", answer),
        rest_port=_port(settings, "restListenPort", answer),
        virtual_proxies=frozenset(_name(item, "id", answer) for item in linked),
        modified=_text(entity, "modifiedDate", answer),
    )


def node(entity: Mapping[str, Any], answer: Answer) -> Node:
    """A servernodeconfiguration, condensed or whole."""
    return Node(id=_name(entity, "id", answer), host=_name(entity, "hostName", answer))


def privileges(entity: Mapping[str, Any], answer: Answer) -> tuple[str, frozenset[str] | None]:
    """The id of an entity, and what the caller may do with it; None where that is null, or not there at all."""
    told = entity.get("privileges")
    if told is None:
        return _name(entity, "id", answer), None
    if not isinstance(told, list) or not all(isinstance(item, str) for item in told):
        raise _shape(answer, "privileges as texts")
    return _name(entity, "id", answer), frozenset(item.lower() for item in told)


def _field(entity: Mapping[str, Any], name: str, kind: type[T], answer: Answer) -> T:
    value = entity.get(name)
    if type(value) is not kind:
        raise _shape(answer, f"{name} as {kind.__name__}")
    return value


def _name(entity: Mapping[str, Any], name: str, answer: Answer) -> str:
    """A host name or an id: it becomes part of URLs and messages."""
    value = _field(entity, name, str, answer)
    if not _NAME.fullmatch(value):
        raise _shape(answer, f"{name} as a name")
    return value


def selection(answer: Answer) -> str:
    """The id of a selection that was just made. Raises UnexpectedAnswer."""
    return _name(one(answer), "id", answer)


def _port(entity: Mapping[str, Any], name: str, answer: Answer) -> int:
    value = _field(entity, name, int, answer)
    if value not in _PORTS:
        raise _shape(answer, f"{name} as a port")
    return value


def _text(entity: Mapping[str, Any], name: str, answer: Answer) -> str:
    value = entity.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or _SURROGATES.search(value):
        raise _shape(answer, f"{name} as text")
    return value


def _shape(answer: Answer, due: str) -> UnexpectedAnswer:
    return UnexpectedAnswer(
        f"{answer.method} {answer.url}: the answer does not hold {due}",
        hint="is this a Qlik Sense Repository, and a release that rotator knows?",
    )
