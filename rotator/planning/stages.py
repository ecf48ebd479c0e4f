"""The moves of keys between stages, `pending -> current -> previous -> retired`: a ring in, the next ring out."""

from dataclasses import replace
from datetime import datetime

from rotator.model import Baseline, Delivery, Fingerprint, Intent, IntentKind, KeyVersion, Retry, Ring, Stage


def _moved(ring: Ring, moves: dict[Stage, Stage], now: datetime) -> tuple[KeyVersion, ...]:
    """The ring's keys with every key of the stages in `moves` moved, all at once."""
    return tuple(replace(key, stage=moves[key.stage], since=now) if key.stage in moves else key for key in ring.keys)


def with_pending(ring: Ring, version: KeyVersion, now: datetime) -> Ring:
    """A new key is stored. A pending key that was there before it is retired, never dropped."""
    return replace(ring, keys=(*_moved(ring, {Stage.PENDING: Stage.RETIRED}, now), version))


def with_current(ring: Ring, version: KeyVersion, now: datetime, delivery: Delivery | None = None) -> Ring:
    """A key that the server already serves is taken in; what was current becomes previous, an intent is overtaken.

    So is the hand-over of another key, which nobody could log in with. The key counts as sent, whoever sent it.
    """
    moves = {Stage.CURRENT: Stage.PREVIOUS, Stage.PREVIOUS: Stage.RETIRED, Stage.PENDING: Stage.RETIRED}
    others = replace(ring, keys=tuple(key for key in ring.keys if key.fingerprint != version.fingerprint))
    keys = (*_moved(others, moves, now), replace(version, sent=True))
    return replace(ring, keys=keys, intent=None, delivery=delivery, untested=False)


def opened(ring: Ring, intent: Intent, over: str | None) -> Ring:
    """The certificate of `intent.after` is about to be sent over an entity of this `modifiedDate`: it counts as sent."""
    keys = tuple(
        replace(key, sent=True, sent_over=over) if key.fingerprint == intent.after else key for key in ring.keys
    )
    return replace(ring, keys=keys, intent=intent)


def promoted(ring: Ring, now: datetime, delivery: Delivery | None) -> Ring:
    """The intent's key is proven: it becomes current, in one transaction with the hand-over and the test that are now due.

    A rollback leaves a pending key as it is; elsewhere the intent's key is the pending one.
    """
    if ring.intent is None:
        return ring
    after = ring.intent.after
    moves = {Stage.CURRENT: Stage.PREVIOUS, Stage.PREVIOUS: Stage.RETIRED}
    if ring.intent.kind is not IntentKind.ROLLBACK:
        moves[Stage.PENDING] = Stage.RETIRED
    keys = tuple(
        replace(key, stage=Stage.CURRENT, since=now) if key.fingerprint == after else moved
        for key, moved in zip(ring.keys, _moved(ring, moves, now), strict=True)
    )
    untested = any(key.stage is Stage.PREVIOUS for key in keys)
    return replace(ring, keys=keys, intent=None, delivery=delivery, retry=None, untested=untested)


def says_promoted(ring: Ring, fingerprint: Fingerprint) -> bool:
    """Whether a ring says that this key is the current one, and that no change is under way."""
    current = ring.at(Stage.CURRENT)
    return ring.intent is None and current is not None and current.fingerprint == fingerprint


def tested(ring: Ring) -> Ring:
    """It was seen whether the previous key is refused."""
    return replace(ring, untested=False)


def undoing(ring: Ring, *, back: bool = True) -> Ring:
    """The pending key failed its test: from here on the way leads `back`, after a crash too; or forward again."""
    if ring.intent is None:
        return ring
    return replace(ring, intent=replace(ring.intent, undoing=back))


def undone(ring: Ring, now: datetime) -> Ring:
    """The intent's key failed and the server holds what it held before. A pending key is not tried a second time."""
    rolled_back = ring.intent is not None and ring.intent.kind is IntentKind.ROLLBACK
    keys = ring.keys if rolled_back else _moved(ring, {Stage.PENDING: Stage.RETIRED}, now)
    return replace(ring, keys=keys, intent=None)


def withdrawn(ring: Ring) -> Ring:
    """The intent is given up, its certificate never having reached the server: a pending key is as it was before."""
    if ring.intent is None:
        return ring
    after = ring.intent.after
    keys = tuple(
        replace(key, sent=False, sent_over=None) if key.fingerprint == after and key.stage is Stage.PENDING else key
        for key in ring.keys
    )
    return replace(ring, keys=keys, intent=None)


def put_off(ring: Ring, retry: Retry | None) -> Ring:
    """Unattended runs wait until `retry` says."""
    return replace(ring, retry=retry)


def without(ring: Ring, version: KeyVersion) -> Ring:
    """A retired key is gone."""
    return replace(ring, keys=tuple(key for key in ring.keys if key.item != version.item))


def delivered(ring: Ring) -> Ring:
    """The hand-over is done."""
    return replace(ring, delivery=None)


def delivery_failed(ring: Ring) -> Ring:
    """The hand-over failed once more and stays due."""
    if ring.delivery is None:
        return ring
    return replace(ring, delivery=replace(ring.delivery, attempts=ring.delivery.attempts + 1))


def with_baseline(ring: Ring, proxy_id: str, baseline: Baseline) -> Ring:
    """What root sees of the virtual proxy, remembered for callers with fewer rights."""
    return replace(ring, proxy_id=proxy_id, baseline=baseline)
