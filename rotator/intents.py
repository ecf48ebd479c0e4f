"""The open intent: written before the server is changed, in hand while it is, given up where nothing arrived."""

import uuid
from dataclasses import dataclass, replace

from rotator import certificates
from rotator.errors import KeyNotFound, KeyStoreCorrupt, KeyStoreError
from rotator.keys import PrivateKey, digest, inspect_certificate
from rotator.model import Fingerprint, Intent, IntentKind, KeyVersion, Ring, Stage, VirtualProxy, short
from rotator.planning import stages
from rotator.scene import Scene


def open_intent(scene: Scene, ring: Ring, virtual_proxy: VirtualProxy, kind: IntentKind, pending: KeyVersion) -> Ring:
    """Write down what is about to be done, and keep the certificate that can be put back, before anything is sent."""
    keystore = scene.world.keystore
    text = virtual_proxy.certificate
    intent = replace(
        _new_intent(scene, kind, pending),
        before=virtual_proxy.fingerprint,
        before_certificate=keystore.add_certificate(text) if text else None,
    )
    return keystore.save(replace(stages.opened(ring, intent, virtual_proxy.modified), proxy_id=virtual_proxy.id))


def open_first_intent(scene: Scene, ring: Ring, pending: KeyVersion) -> Ring:
    """The same for a virtual proxy that is not there yet."""
    return scene.world.keystore.save(stages.opened(ring, _new_intent(scene, IntentKind.FIRST_KEY, pending), None))


def _new_intent(scene: Scene, kind: IntentKind, pending: KeyVersion) -> Intent:
    return Intent(
        id=uuid.uuid4().hex,
        kind=kind,
        started=scene.world.clock.now(),
        before=None,
        before_certificate=None,
        after=pending.fingerprint,
    )


@dataclass(frozen=True, slots=True)
class Change:
    """What an intent works with, read before anything is sent: a keyring that fails later cannot stop the way back.

    `new` and `old` are the private keys of both ends, None where the keyring does not have one; `old_text` is the
    certificate to put back, empty where there was none; where it is lost or has ended one made anew, None without the key
    for that.
    """

    intent: Intent
    new: PrivateKey | None
    old: PrivateKey | None
    old_text: str | None


def change_of(scene: Scene, ring: Ring) -> Change:
    """The open intent with its keys. Raises KeyStoreUnavailable."""
    intent = opened(ring)
    keystore = scene.world.keystore

    def key(fingerprint: Fingerprint | None) -> PrivateKey | None:
        version = ring.known(fingerprint)
        return keystore.key(version) if version is not None and held(scene, version) else None

    old, text = key(intent.before), _text_before(scene, intent)
    if old is not None and (text is None or _has_ended(scene, text)):
        text = certificates.made(scene, old)
    return Change(intent, key(intent.after), old, text)


def _text_before(scene: Scene, intent: Intent) -> str | None:
    """The certificate from before a change, empty where there was none; None where the keyring does not give it."""
    try:
        return scene.world.keystore.certificate(intent.before_certificate) if intent.before_certificate else ""
    except (KeyNotFound, KeyStoreCorrupt):
        return None


def restorable(scene: Scene, intent: Intent) -> bool:
    """Whether what was there before a change can be put back without a private key of it. Raises KeyStoreUnavailable."""
    return _text_before(scene, intent) is not None


def _has_ended(scene: Scene, text: str) -> bool:
    info = inspect_certificate(text)
    return certificates.ended(scene, info.not_after if info else None)


def held(scene: Scene, version: KeyVersion) -> bool:
    """Whether the keyring gives this private key. A keyring that gives no answer is an error, not a no."""
    try:
        scene.world.keystore.key(version)
    except (KeyNotFound, KeyStoreCorrupt):
        return False
    return True


def withdraw(scene: Scene, ring: Ring) -> None:
    """Give the open intent up: for certain its certificate is not on the server and not on its way there."""
    try:
        scene.world.keystore.save(stages.withdrawn(ring))
    except KeyStoreError as error:
        scene.world.tell(f"the keyring could not note that nothing was changed: {error.message}; the next run sees it")


def discard(scene: Scene, version: KeyVersion) -> None:
    """Delete a pending key that the run itself made, and whose certificate never reached the server."""
    keystore = scene.world.keystore
    try:
        ring = keystore.ring()
        pending = ring.known(version.fingerprint)
        if pending is not None and not pending.sent and ring.intent is None:
            scene.world.tell(f"deleting the key {short(version.fingerprint)}, which nobody has seen")
            keystore.remove(ring, version)
            keystore.save(stages.without(ring, version))
    except KeyStoreError as error:
        scene.world.tell(f"the unused key {short(version.fingerprint)} stays in the keyring: {error.message}")


def pasted_unread(intent: Intent, virtual_proxy: VirtualProxy) -> bool:
    """Whether somebody has put a text there since that cannot be read: it looks like none, and may let them in."""
    text = virtual_proxy.certificate
    return virtual_proxy.fingerprint is None and bool(text.strip()) and digest(text) != intent.before_certificate


def finishing(intent: Intent) -> str:
    """The command that finishes or undoes the change, for people."""
    return "create-proxy" if intent.kind is IntentKind.FIRST_KEY else "rotate"


def current(ring: Ring) -> KeyVersion:
    """The current key of a ring that has one."""
    version = ring.at(Stage.CURRENT)
    assert version is not None  # noqa: S101 - what is settled or promoted has one
    return version


def opened(ring: Ring) -> Intent:
    """The open intent of a ring that has one."""
    assert ring.intent is not None  # noqa: S101 - the steps after set are called with an open intent only
    return ring.intent


def version_of(ring: Ring, fingerprint: Fingerprint) -> KeyVersion:
    """The key of a ring that an intent or a delivery of it names."""
    version = ring.known(fingerprint)
    assert version is not None  # noqa: S101 - an intent or a delivery names a key of its own ring
    return version
