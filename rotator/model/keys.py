"""The keys of a virtual proxy and their stages, without any key material."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.model.words import Digest, Fingerprint


CERTIFICATE_BACKDATE = timedelta(hours=1)
"""How long before its making a certificate begins, so that a server whose clock is behind takes it at once."""
CERTIFICATE_MARGIN = timedelta(days=30)
"""How long before its certificate ends a key is due, and how much longer than the time between two rotations it must last.

Nobody knows whether Qlik enforces the end.
"""


class Stage(StrEnum):
    """The life of a key."""

    PENDING = "pending"
    CURRENT = "current"
    PREVIOUS = "previous"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class KeyVersion:
    """One key pair of a virtual proxy, as the index in the keyring tells of it.

    `item` names the private key in the keyring, `certificate` the text of the certificate; `kid` is the RFC 7638
    thumbprint; `since` when it entered its stage; `sent` whether its certificate ever went to the server: such a key
    is never dropped before a late PUT of it must fail. `sent_over` is the `modifiedDate` of the entity that it was sent
    over, None where it was not there yet or is not known.
    """

    item: str
    fingerprint: Fingerprint
    kid: str
    bits: int
    stage: Stage
    created: datetime
    since: datetime
    certificate: Digest
    not_after: datetime
    sent: bool = False
    sent_over: str | None = None


class IntentKind(StrEnum):
    """What an intent is about to do with the server's certificate."""

    FIRST_KEY = "first-key"
    ROTATE = "rotate"
    REPLACE_KEY = "replace-key"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Intent:
    """Written before the certificate on the server is changed, removed when the change is finished or undone.

    `before` is the fingerprint that the change starts from, None where the virtual proxy had no certificate;
    `before_certificate` names the text to put back. `undoing`: the new key failed its test, so the way leads back.
    """

    id: str
    kind: IntentKind
    started: datetime
    before: Fingerprint | None
    before_certificate: Digest | None
    after: Fingerprint
    undoing: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """A hand-over that is due: the key with this fingerprint goes to the hook, at least once."""

    id: str
    fingerprint: Fingerprint
    since: datetime
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Retry:
    """Not before `at` does an unattended run begin again: so many `attempts` failed, or (0) a person rolled back."""

    attempts: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Baseline:
    """The ids in an entity's lists as root saw them: what a caller with fewer rights must see too before it may PUT.

    `audience` is the one that the server demanded of tokens then, empty for none.
    """

    nodes: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    custom_properties: frozenset[str] = frozenset()
    audience: str = ""


@dataclass(frozen=True, slots=True)
class Ring:
    """The keys of one virtual proxy with their stages.

    It is one item of the keyring, so that a change of it is one transaction. `generation` counts its changes;
    `proxy_id` is the id of the virtual proxy in Qlik. `untested`: nobody has seen yet whether the previous key is refused.
    """

    generation: int = 0
    proxy_id: str | None = None
    keys: tuple[KeyVersion, ...] = ()
    intent: Intent | None = None
    delivery: Delivery | None = None
    baseline: Baseline | None = None
    retry: Retry | None = None
    untested: bool = False

    def at(self, stage: Stage) -> KeyVersion | None:
        """The key of a stage that holds at most one: pending, current or previous."""
        return next((key for key in self.keys if key.stage is stage), None)

    def known(self, fingerprint: str | None) -> KeyVersion | None:
        """The key with this fingerprint, whatever its stage."""
        return next((key for key in self.keys if key.fingerprint == fingerprint), None)
