"""What a crash, a lost state directory or a restored keyring left, decided from the ring and the server."""

from dataclasses import dataclass
from enum import StrEnum

from rotator.model import Fingerprint, Ring, Stage


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


class Way(StrEnum):
    """What `recover` does about a finding."""

    NONE = "nothing to do"
    CONCLUDE = "finish or undo the change under way, tested by a login"
    ALIGN = "make the key that the server shows the current one, after a test login"
    RESTORE = "leave it to create-proxy, which puts the certificate back"
    PERSON = "a person decides"


@dataclass(frozen=True, slots=True)
class Found:
    """A finding and what follows from it."""

    finding: Finding
    way: Way


def assess(ring: Ring, shown: Fingerprint | None, *, held: bool) -> Found:
    """What to do where the server shows the key `shown` (None: no certificate that can be read).

    `held` says whether the keyring gives the private key of `shown`. With an open intent the change goes on from either
    of its ends, as every run does. Without one the server is believed: it says who can log in. A key that is in
    the keyring in any stage is made current once it has logged in (an older copy of the keyring, or a certificate put
    back by hand); one that is not there cannot be made up.
    """
    if ring.intent is not None and shown in (ring.intent.before, ring.intent.after):
        return Found(Finding.UNFINISHED, Way.CONCLUDE)
    if shown is None:
        if ring.at(Stage.CURRENT) is None and ring.intent is None:
            return Found(Finding.NOTHING, Way.NONE)
        return Found(Finding.NO_CERTIFICATE, Way.RESTORE)
    if ring.known(shown) is None:
        return Found(Finding.UNKNOWN_KEY, Way.PERSON)
    if not held:
        return Found(Finding.LOST_KEY, Way.PERSON)
    if ring.intent is not None:
        return Found(Finding.OVERTAKEN, Way.ALIGN)
    current = ring.at(Stage.CURRENT)
    if current is not None and current.fingerprint == shown:
        return Found(Finding.SETTLED, Way.NONE)
    return Found(Finding.OTHER_STAGE, Way.ALIGN)
