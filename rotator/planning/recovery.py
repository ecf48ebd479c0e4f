"""What a run finds at its start, decided from the keyring, the server and the journal: the one decision after a crash."""

from dataclasses import dataclass
from enum import StrEnum

from rotator.model import Fingerprint, Intent, Memory, Ring, Stage


class Step(StrEnum):
    """Where a run goes on."""

    CREATE = "create"
    SET = "set"
    TEST = "test"
    UNDO = "undo"


class Finding(StrEnum):
    """How keyring and server stand to each other; the value is the reason that people and scripts are told."""

    SETTLED = "Settled"
    UNFINISHED = "Unfinished"
    OTHER_STAGE = "OtherStage"
    OVERTAKEN = "Overtaken"
    NO_CERTIFICATE = "NoCertificate"
    LOST_KEY = "LostKey"
    UNKNOWN_KEY = "UnknownKey"
    NOTHING = "Nothing"
    UNASKED = "Unasked"


class Way(StrEnum):
    """What `recover` does about a finding."""

    NONE = "nothing to do"
    CONCLUDE = "finish or undo the change under way, tested by a login"
    ALIGN = "make the key that the server shows the current one, after a test login"
    RESTORE = "leave it to create-proxy, which puts the certificate back"
    PERSON = "a person decides"
    LATER = "ask again once the server answers"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was asked: the keyring, the server, the journal.

    `shown` is the key that the server shows, None where there is no certificate that can be read; `asked` is False
    where the server gave no answer. `held` are the keys whose private half the keyring gives. `text`: it gives the
    certificate from before the open intent, or there was none.
    """

    ring: Ring
    shown: Fingerprint | None
    held: frozenset[Fingerprint]
    memory: Memory = Memory.INTACT
    asked: bool = True
    text: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """A finding and what follows from it; `step` says where a rotation goes on, None where it does not."""

    finding: Finding
    way: Way
    step: Step | None = None


def assess(evidence: Evidence) -> Found:
    """What is to be done, for every verb alike.

    With an open intent the change goes on from either of its ends, in the direction in which a private key is there.
    Without one the server is believed: it says who can log in. A key that the keyring gives, in any stage, can be made
    current once it has logged in (an older copy of the keyring, a certificate put back by hand); one that it does not
    give cannot be made up. Where the journal knows of later changes, the intent is one of long ago and does not count.
    """
    if not evidence.asked:
        return Found(Finding.UNASKED, Way.LATER)
    ring, shown, intent = evidence.ring, evidence.shown, evidence.ring.intent
    if intent is not None and shown in (intent.before, intent.after) and evidence.memory is not Memory.NEWER:
        return _unfinished(intent, evidence)
    if shown is None:
        return _without_certificate(evidence)
    if ring.known(shown) is None:
        # One that the journal remembers more changes of than the keyring was lost with them.
        lost = evidence.memory is Memory.NEWER
        return Found(Finding.LOST_KEY if lost else Finding.UNKNOWN_KEY, Way.PERSON)
    if shown not in evidence.held:
        return Found(Finding.LOST_KEY, Way.PERSON)
    if intent is not None:
        return Found(Finding.OVERTAKEN, Way.ALIGN)
    current = ring.at(Stage.CURRENT)
    if current is not None and current.fingerprint == shown:
        return Found(Finding.SETTLED, Way.NONE, Step.CREATE)
    return Found(Finding.OTHER_STAGE, Way.ALIGN)


def _unfinished(intent: Intent, evidence: Evidence) -> Found:
    """Forward while the new key is there; back where it failed its test or is lost, and the way back is there."""
    in_place = evidence.shown == intent.after
    forward = intent.after in evidence.held
    proven = intent.before in evidence.held
    # A key that was never ours, as under --replace-key, is put back by its certificate alone.
    unproven = evidence.ring.known(intent.before) is None and (evidence.text or not in_place)
    # Nobody could see that it logs in: a new key that is in place, and may do so by now, is tested again before.
    failed = intent.undoing and (proven or (unproven and not in_place))
    if failed or (not forward and (proven or unproven)):
        return Found(Finding.UNFINISHED, Way.CONCLUDE, Step.UNDO)
    if not forward:
        return Found(Finding.LOST_KEY, Way.PERSON)
    return Found(Finding.UNFINISHED, Way.CONCLUDE, Step.TEST if in_place else Step.SET)


def _without_certificate(evidence: Evidence) -> Found:
    current = evidence.ring.at(Stage.CURRENT)
    if current is None:
        return Found(Finding.NOTHING, Way.NONE)
    if current.fingerprint not in evidence.held:
        return Found(Finding.LOST_KEY, Way.PERSON)
    return Found(Finding.NO_CERTIFICATE, Way.RESTORE)
