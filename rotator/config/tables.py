"""The keys of the configuration file, one line each: parser and default. `channels` has those of notify and metrics."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from rotator.config import proxy_values, schedule, values
from rotator.model import Algorithm, Auth, Consumers, KeyringBackend


REQUIRED: Final = object()
"""In place of a default: the key must be there."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a table. `later` marks a key whose feature is not built yet: it is refused, not ignored."""

    parse: Callable[[Any, Any], Any]
    default: object = None
    later: bool = False


def _words(enumeration: Any) -> dict[str, Any]:  # noqa: ANN401 - any StrEnum class
    return {member.value: member for member in enumeration}


def _refused(_: object, __: object) -> object:
    raise values.Wrong("belongs to something that is not built yet in this version; take it out")


KEYRING: Final[dict[str, Key]] = {
    "backend": Key(values.one_of(_words(KeyringBackend)), REQUIRED),
    "path": Key(values.path),
    "master_key": Key(values.master_key),
}

STATE: Final[dict[str, Key]] = {"path": Key(values.path)}

SITE: Final[dict[str, Key]] = {
    "qrs": Key(values.url, REQUIRED),
    "root_ca": Key(values.path, REQUIRED),
    "proxy_ca": Key(values.ca),
    "server_name": Key(values.host),
    "auth": Key(values.one_of(_words(Auth)), REQUIRED),
}

CERTIFICATE: Final[dict[str, Key]] = {
    "pfx": Key(values.path),
    "cert": Key(values.path),
    "key": Key(values.path),
    "password": Key(values.secret),
    "user": Key(values.user, REQUIRED),
}

JWT: Final[dict[str, Key]] = {"url": Key(values.url_with_prefix, REQUIRED), "user": Key(values.user, REQUIRED)}

PROBE: Final[dict[str, Key]] = {
    "connect": Key(values.address),
    "host": Key(values.host),
    "ca": Key(values.ca),
    "skip": Key(values.flag, default=False),
}

PROXY: Final[dict[str, Key]] = {
    "site": Key(values.text, REQUIRED),
    "prefix": Key(proxy_values.prefix, REQUIRED),
    "description": Key(values.text),
    "session_cookie": Key(proxy_values.cookie),
    "user_id_claim": Key(proxy_values.claim, "userId"),
    "user_directory_claim": Key(proxy_values.claim, "userDirectory"),
    "attributes": Key(values.list_of(proxy_values.attribute), ()),
    "proxies": Key(values.hosts_or_all, ("*",)),
    "nodes": Key(values.hosts_or_all, ("*",)),
    "host_allow_list": Key(values.list_of(values.host), ()),
    "additional_response_headers": Key(values.list_of(proxy_values.header), ()),
    "session_inactivity_timeout": Key(values.minutes(timedelta(minutes=1), timedelta(days=7)), timedelta(minutes=30)),
    "test_user": Key(values.user),
    "test_claims": Key(proxy_values.claims, {}),
    "audience": Key(values.text_or_empty, ""),
    "consumers": Key(values.one_of(_words(Consumers)), Consumers.TOKEN),
    "hook": Key(values.path),
    "max_token_ttl": Key(values.duration(timedelta(minutes=1), timedelta(days=1)), timedelta(minutes=15)),
}

ROTATION: Final[dict[str, Key]] = {
    "strategy": Key(values.one_of({"in-place": "in-place"}, later=("alternate",)), "in-place"),
    "every": Key(values.duration(timedelta(hours=1), timedelta(days=3650))),
    "cron": Key(schedule.cron),
    "window": Key(schedule.windows, ()),
    "jitter": Key(values.duration(timedelta(0), timedelta(days=1)), timedelta(0)),
    "overlap": Key(_refused, later=True),
    "max_sessions": Key(_refused, later=True),
    "key_bits": Key(values.one_of({2048: 2048, 3072: 3072, 4096: 4096}), 3072),
    "algorithm": Key(values.one_of(_words(Algorithm)), Algorithm.RS256),
    "certificate_days": Key(values.integer(1, 7300), 1825),
    "settle_timeout": Key(values.duration(timedelta(seconds=10), timedelta(minutes=30)), timedelta(seconds=120)),
}
