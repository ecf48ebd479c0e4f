"""Whether the keys of a virtual proxy may move from one keyring to another, pure."""

from enum import StrEnum

from rotator.errors import Refused
from rotator.model import KeyVersion, Ring, Stage, counted


class Move(StrEnum):
    """What has to be done for one virtual proxy."""

    NOTHING = "nothing"
    COPY = "copy"
    THERE = "there"


def move(name: str, source: Ring, target: Ring, *, deleting: bool) -> Move:
    """What has to be done so that `target` holds the keys of `source`; `deleting`: they will be deleted in the source.

    A copy of an earlier run that the source has left behind is written over. Where the target has gone on since, as once
    the configuration has named it, there is nothing to copy; the source is then out of date and may be deleted, if the
    target knows the keys that it might still be needed for. Raises Refused.
    """
    if source.generation == target.generation == 0:
        return Move.NOTHING
    if source == target:
        return Move.THERE
    if source.generation > target.generation:
        return Move.COPY
    if source.generation == 0:
        return Move.THERE
    if source.generation == target.generation:
        raise Refused(
            f"{name}: both keyrings have changed its keys {counted(source.generation, 'time')}, and hold different ones",
            hint=f"only one of them has the key that the server shows: rotator status {name} with each configuration says "
            "which; nothing was changed",
        )
    needed = [key for key in source.keys if key.stage in (Stage.CURRENT, Stage.PENDING)]
    if deleting and all(target.known(key.fingerprint) for key in needed):
        return Move.THERE
    raise Refused(
        f"{name}: the target has newer keys of it (change {target.generation}) than the keyring of the configuration "
        f"(change {source.generation})",
        hint="it is in use already: name it in [keyring]"
        if not deleting
        else "it does not know a key that would be deleted; nothing was changed",
    )


def needed(ring: Ring) -> tuple[KeyVersion, ...]:
    """The keys without which `ring` is not to be moved: the current one, and both ends of a change under way.

    The loss of any other goes along, as everything else does: rotator works without it, and nothing would bring it back.
    """
    ends = {ring.intent.before, ring.intent.after} if ring.intent else set()
    return tuple(key for key in ring.keys if key.stage is Stage.CURRENT or key.fingerprint in ends)
