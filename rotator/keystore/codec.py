"""A ring as one line of JSON, and back, strictly: what has not the form of a ring is refused."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from rotator.errors import KeyStoreCorrupt, KeyStoreError
from rotator.model import Baseline, Delivery, Digest, Fingerprint, Intent, IntentKind, KeyVersion, Retry, Ring, Stage


T = TypeVar("T")
VERSION: Final = 2
_WITH_RETRY: Final = 2
_SHA256: Final = re.compile("[0-9a-f]{64}")


def encode(ring: Ring) -> str:
    """The ring as one line; times are ISO 8601, UTC, to the microsecond."""
    document = {
        "v": VERSION,
        "generation": ring.generation,
        "proxy_id": ring.proxy_id,
        "keys": [
            {
                "item": key.item,
                "fingerprint": key.fingerprint,
                "kid": key.kid,
                "bits": key.bits,
                "stage": key.stage.value,
                "created": _told(key.created),
                "since": _told(key.since),
                "certificate": key.certificate,
                "not_after": _told(key.not_after),
                "sent": key.sent,
                "sent_over": key.sent_over,
            }
            for key in ring.keys
        ],
        "intent": None
        if ring.intent is None
        else {
            "id": ring.intent.id,
            "kind": ring.intent.kind.value,
            "started": _told(ring.intent.started),
            "before": ring.intent.before,
            "before_certificate": ring.intent.before_certificate,
            "after": ring.intent.after,
            "undoing": ring.intent.undoing,
        },
        "delivery": None
        if ring.delivery is None
        else {
            "id": ring.delivery.id,
            "fingerprint": ring.delivery.fingerprint,
            "since": _told(ring.delivery.since),
            "attempts": ring.delivery.attempts,
        },
        "baseline": None
        if ring.baseline is None
        else {
            "nodes": sorted(ring.baseline.nodes),
            "tags": sorted(ring.baseline.tags),
            "custom_properties": sorted(ring.baseline.custom_properties),
            "audience": ring.baseline.audience,
        },
        "retry": None if ring.retry is None else {"attempts": ring.retry.attempts, "at": _told(ring.retry.at)},
        "untested": ring.untested,
    }
    return json.dumps(document, separators=(",", ":"))


def decode(text: str, item: str) -> Ring:
    """The ring in the text of `item`. Raises KeyStoreCorrupt, and KeyStoreError for one of a newer rotator."""
    try:
        document = json.loads(text, object_pairs_hook=_once)
        version = document["v"]
        if isinstance(version, int) and version > VERSION:
            raise KeyStoreError(
                f"the index {item} was written by a newer rotator (version {version})",
                hint="upgrade rotator on this machine",
            )
        return Ring(
            generation=_counted(document, "generation"),
            proxy_id=_optional(document, "proxy_id", str),
            keys=tuple(_key(key) for key in _typed(document, "keys", list)),
            intent=_present(document["intent"], _intent),
            delivery=_present(document["delivery"], _delivery),
            baseline=_present(document["baseline"], _baseline),
            retry=_present(document["retry"], _retry) if version >= _WITH_RETRY else None,
            untested=_typed(document, "untested", bool) if "untested" in document else False,
        )
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise KeyStoreCorrupt(
            f"the index {item} in the keyring is damaged",
            hint="restore the keyring from a backup; the keys are still in it",
        ) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which every name stands once: a cut in the middle can make one of two keys."""
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError
    return document


def _key(document: Mapping[str, Any]) -> KeyVersion:
    return KeyVersion(
        item=_typed(document, "item", str),
        fingerprint=Fingerprint(_hashed(document, "fingerprint")),
        kid=_typed(document, "kid", str),
        bits=_counted(document, "bits"),
        stage=Stage(document["stage"]),
        created=_time(document["created"]),
        since=_time(document["since"]),
        certificate=Digest(_hashed(document, "certificate")),
        not_after=_time(document["not_after"]),
        sent=_typed(document, "sent", bool),
        sent_over=_optional(document, "sent_over", str) if "sent_over" in document else None,
    )


def _intent(document: Mapping[str, Any]) -> Intent:
    return Intent(
        id=_typed(document, "id", str),
        kind=IntentKind(document["kind"]),
        started=_time(document["started"]),
        before=None if document["before"] is None else Fingerprint(_hashed(document, "before")),
        before_certificate=None
        if document["before_certificate"] is None
        else Digest(_hashed(document, "before_certificate")),
        after=Fingerprint(_hashed(document, "after")),
        undoing=_typed(document, "undoing", bool),
    )


def _delivery(document: Mapping[str, Any]) -> Delivery:
    return Delivery(
        id=_typed(document, "id", str),
        fingerprint=Fingerprint(_hashed(document, "fingerprint")),
        since=_time(document["since"]),
        attempts=_counted(document, "attempts"),
    )


def _baseline(document: Mapping[str, Any]) -> Baseline:
    return Baseline(
        nodes=frozenset(map(str, _typed(document, "nodes", list))),
        tags=frozenset(map(str, _typed(document, "tags", list))),
        custom_properties=frozenset(map(str, _typed(document, "custom_properties", list))),
        audience=_typed(document, "audience", str) if "audience" in document else "",
    )


def _retry(document: Mapping[str, Any]) -> Retry:
    return Retry(attempts=_counted(document, "attempts"), at=_time(document["at"]))


def _present(document: Mapping[str, Any] | None, build: Callable[[Mapping[str, Any]], T]) -> T | None:
    return None if document is None else build(document)


def _typed(document: Mapping[str, Any], name: str, kind: type[T]) -> T:
    value = document[name]
    if type(value) is not kind:
        raise TypeError(name)
    return value


def _counted(document: Mapping[str, Any], name: str) -> int:
    count = _typed(document, name, int)
    if count < 0:
        raise ValueError(name)
    return count


def _hashed(document: Mapping[str, Any], name: str) -> str:
    value = _typed(document, name, str)
    if not _SHA256.fullmatch(value):
        raise ValueError(name)
    return value


def _optional(document: Mapping[str, Any], name: str, kind: type[T]) -> T | None:
    return None if document[name] is None else _typed(document, name, kind)


def _told(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()


def _time(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment.astimezone(UTC)
