"""Which keys may be deleted for good."""

from datetime import datetime, timedelta
from typing import Final

from rotator.model import KeyVersion, Ring, Stage, VirtualProxy


SENT_STAYS: Final = timedelta(days=7)
"""How long a key whose certificate was ever sent stays after it was retired: a PUT that timed out may land late."""
KEEP: Final = 3
"""How many retired keys are kept unless another number is asked for."""


def prunable(ring: Ring, observed: VirtualProxy, keep: int, now: datetime) -> tuple[KeyVersion, ...]:
    """The retired keys that may go, oldest first: all but the `keep` newest of them.

    Current, previous and pending keys stay, as do the key that the server shows, both ends of an open intent, a key that
    is still to be handed over, and a key that a late PUT could still bring to the server.
    """
    retired = sorted((key for key in ring.keys if key.stage is Stage.RETIRED), key=lambda key: key.since)
    wanted = {observed.fingerprint}
    if ring.intent is not None:
        wanted |= {ring.intent.before, ring.intent.after}
    if ring.delivery is not None:
        wanted.add(ring.delivery.fingerprint)
    old = retired[: max(len(retired) - keep, 0)]
    return tuple(key for key in old if key.fingerprint not in wanted and _cannot_return(key, observed, now))


def _cannot_return(key: KeyVersion, observed: VirtualProxy, now: datetime) -> bool:
    """Whether a PUT of this key's certificate that is still on its way must fail: the entity was changed since."""
    if not key.sent:
        return True
    if now - key.since < SENT_STAYS:
        return False
    if key.sent_over is None:
        return True
    sent_over, shown = _moment(key.sent_over), _moment(observed.modified)
    return sent_over is not None and shown is not None and shown > sent_over


def _moment(text: str) -> datetime | None:
    """A `modifiedDate`; None where it is none, or does not say which time zone it is of."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
