"""What a command came to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from rotator.model.keys import KeyVersion
from rotator.model.observed import Check
from rotator.model.words import Json


class Outcome(StrEnum):
    """What a command came to for one virtual proxy."""

    UNCHANGED = "unchanged"
    DUE = "due"
    PLANNED = "planned"
    CREATED = "created"
    REPAIRED = "repaired"
    ADOPTED = "adopted"
    PREPARED = "prepared"
    ROTATED = "rotated"
    DELIVERED = "delivered"
    VERIFIED = "verified"
    RELEASED = "released"
    ROLLED_BACK = "rolled-back"
    RECOVERED = "recovered"
    PRUNED = "pruned"
    MIGRATED = "migrated"
    REKEYED = "rekeyed"
    STORED = "stored"
    CONFIGURED = "configured"
    SHOWN = "shown"
    REPLACED = "replaced"
    KEPT = "kept"
    REMOVED = "removed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Result:
    """What a command came to for one virtual proxy, for people and for scripts.

    `reason` is one constant word; `message` a sentence; `key` the key that is current now; `extra` what only this
    command tells, JSON by nature.
    """

    site: str
    name: str
    outcome: Outcome
    reason: str
    message: str = ""
    hint: str | None = None
    proxy_id: str | None = None
    key: KeyVersion | None = None
    checks: tuple[Check, ...] = ()
    exit_status: int = 0
    extra: Mapping[str, Json] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Cut:
    """What a change of a virtual proxy interrupts: this proxy restarts and ends its sessions (None: not known)."""

    host: str
    sessions: int | None
