"""The certificates that rotator makes for its keys, and makes anew where the keyring has lost the text of one."""

from dataclasses import replace
from datetime import datetime, timedelta

from rotator.errors import KeyNotFound, KeyStoreCorrupt, Refused
from rotator.keys import PrivateKey, digest, inspect_certificate, own_certificate
from rotator.model import KeyVersion, Ring, short
from rotator.ports import LARGEST_OFFSET
from rotator.scene import Scene


def made(scene: Scene, key: PrivateKey) -> str:
    """A certificate for a key, as the configuration wants it, dated by the server's clock, which judges it."""
    return own_certificate(scene.spec, key, _now_there(scene))


def ended(scene: Scene, not_after: datetime | None) -> bool:
    """Whether a certificate that is valid until then has ended by the server's clock: then it may let nobody in.

    Not where the two clocks are too far apart to say.
    """
    return not_after is not None and not_after <= _now_there(scene) and not _far_apart(scene)


def once_ended(scene: Scene, not_after: datetime | None) -> str | None:
    """What to do where the certificate of the current key is valid until then and has ended; None where it has not."""
    return f"its certificate has ended: rotator rotate {scene.spec.name} --now" if ended(scene, not_after) else None


def once_over(scene: Scene, not_after: datetime | None) -> str | None:
    """The same where the key that is served is not the current one: no rotation goes on from it."""
    if not ended(scene, not_after):
        return None
    return f"its certificate has ended; put a new key in its place: rotator adopt {scene.spec.name} --replace-key"


def check_clocks(scene: Scene) -> None:
    """Raise Refused where the two clocks are too far apart for a key that is put in place now to be proven."""
    if _far_apart(scene):
        raise Refused(
            f"{scene.spec.name}: the clock of this machine and that of QRS are a day or more apart, so no new key is put "
            "in place: its certificate and the tokens of its test would be dated wrong",
            hint="set the clock that is wrong, then again",
        )


def _now_there(scene: Scene) -> datetime:
    return scene.world.clock.now() + timedelta(seconds=scene.world.repository.clock_offset() or 0.0)


def _far_apart(scene: Scene) -> bool:
    return abs(scene.world.repository.clock_offset() or 0.0) >= LARGEST_OFFSET


def text_of(scene: Scene, ring: Ring, version: KeyVersion) -> tuple[Ring, str]:
    """The certificate to put on the server for a key, and the ring that names it.

    Where its text is lost or damaged, or it has ended, a new one is stored: the key is what logs in, whatever
    certificate carries it. Raises KeyStoreError, KeyNotFound among them where the private key is gone too.
    """
    try:
        text = scene.world.keystore.certificate(version.certificate)
    except (KeyNotFound, KeyStoreCorrupt) as error:
        why = error.message
    else:
        if not ended(scene, version.not_after):
            return ring, text
        why = "its certificate has ended"
    scene.world.tell(f"{why}: making a new one for the key {short(version.fingerprint)}")
    return made_anew(scene, ring, version)


def made_anew(scene: Scene, ring: Ring, version: KeyVersion) -> tuple[Ring, str]:
    """A new certificate for a key of the ring, and the ring that names it. Raises KeyStoreError."""
    keystore = scene.world.keystore
    text = made(scene, keystore.key(version))
    info = inspect_certificate(text)
    assert info is not None  # noqa: S101 - it was made here
    keystore.add_certificate(text)
    renewed = replace(version, certificate=digest(text), not_after=info.not_after)
    keys = tuple(renewed if each.item == version.item else each for each in ring.keys)
    return keystore.save(replace(ring, keys=keys)), text
