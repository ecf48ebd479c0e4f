"""The steps that put another certificate on a virtual proxy: create, set, test, finish, and the undo of set.

Every step leaves a state that the next run can go on from: the ring in the keyring is written before and after each
effect on the server, and the server is asked before it is changed and again afterwards.
"""

import uuid
from collections.abc import Sequence
from dataclasses import replace

from rotator import verification
from rotator.errors import (
    Drift,
    KeyStoreError,
    NotDelivered,
    PersonNeeded,
    RotatorError,
    UndoFailed,
    Undone,
)
from rotator.keys import PrivateKey, digest, inspect_certificate
from rotator.model import (
    Check,
    Consumers,
    Delivery,
    Fingerprint,
    Intent,
    IntentKind,
    KeyVersion,
    ProxyService,
    Ring,
    Stage,
    VirtualProxy,
    short,
)
from rotator.planning import stages
from rotator.planning.due import after_rollback
from rotator.planning.rotation import reusable_pending
from rotator.scene import Scene
from rotator.setting import NO_ANSWER, named, put


def create(scene: Scene, ring: Ring) -> tuple[Ring, KeyVersion]:
    """A pending key, stored and proven: the one that an earlier run prepared, or a new one."""
    with scene.world.journal.step("create"):
        return _created(scene, ring)


def _created(scene: Scene, ring: Ring) -> tuple[Ring, KeyVersion]:
    ready = reusable_pending(ring, scene.spec)
    if ready is not None:
        scene.world.tell(f"using the pending key {short(ready.fingerprint)}")
        return ring, ready
    world, rotation = scene.world, scene.spec.rotation
    scene.world.tell(f"making a {rotation.key_bits}-bit RSA key")
    key = world.generate(rotation.key_bits)
    now = world.clock.now()
    text = key.certificate(f"rotator {scene.spec.prefix}", rotation.certificate_days, now)
    version = described(key, text, Stage.PENDING, scene)
    world.keystore.add_certificate(text)
    world.keystore.add_key(version, key)
    return world.keystore.save(stages.with_pending(ring, version, now)), version


def described(key: PrivateKey, certificate: str, stage: Stage, scene: Scene) -> KeyVersion:
    """The index entry of a key that is stored now. The age of a key that was already served is its certificate's."""
    now = scene.world.clock.now()
    info = inspect_certificate(certificate)
    assert info is not None  # noqa: S101 - the caller made or read this certificate
    created = now if stage is Stage.PENDING else info.not_before
    return KeyVersion(
        item=f"{now:%Y%m%dT%H%M%SZ}-{short(key.fingerprint)}",
        fingerprint=key.fingerprint,
        kid=key.kid,
        bits=key.bits,
        stage=stage,
        created=created,
        since=now,
        certificate=digest(certificate),
        not_after=info.not_after,
        sent=stage is not Stage.PENDING,
    )


def open_intent(scene: Scene, ring: Ring, observed: VirtualProxy, kind: IntentKind, pending: KeyVersion) -> Ring:
    """Write down what is about to be done, and keep the certificate that can be put back, before anything is sent."""
    keystore = scene.world.keystore
    text = observed.certificate
    intent = replace(
        _new_intent(scene, kind, pending),
        before=observed.fingerprint,
        before_certificate=keystore.add_certificate(text) if text else None,
    )
    return keystore.save(replace(stages.opened(ring, intent, observed.modified), proxy_id=observed.id))


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


def set_certificate(scene: Scene, ring: Ring, proxy_id: str, *, resumed: bool) -> VirtualProxy:
    """The step set: the intent's certificate on the server.

    Gives the intent up where nothing was changed for certain: not after a lost answer, and not one that an earlier run
    opened (`resumed`), whose PUT may still be on its way.
    """
    intent = _intent(ring)
    text = scene.world.keystore.certificate(_version(ring, intent.after).certificate)
    scene.world.tell(f"putting the certificate of {short(intent.after)} on the virtual proxy")
    try:
        with scene.world.journal.step("set", intent.after):
            return put(scene, ring, proxy_id, start=intent.before, goal=intent.after, text=text)
    except NO_ANSWER as error:
        error.hint = f"the next run asks the server and goes on from there: rotator rotate {scene.spec.name} --now"
        raise
    except Drift:
        raise
    except RotatorError:
        if not resumed:
            scene.world.keystore.save(stages.undone(ring, scene.world.clock.now()))
        raise


def put_back(scene: Scene, ring: Ring, observed: VirtualProxy, version: KeyVersion) -> VirtualProxy:
    """The certificate of a key that is current already, on a virtual proxy that shows another or none."""
    text = scene.world.keystore.certificate(version.certificate)
    return put(scene, ring, observed.id, start=observed.fingerprint, goal=version.fingerprint, text=text)


def test(scene: Scene, ring: Ring, observed: VirtualProxy, proxies: Sequence[ProxyService]) -> tuple[Check, ...]:
    """The step test: the new key logs in as the right user on every linked proxy, each given `settle_timeout`."""
    intent = _intent(ring)
    scene.world.tell(f"testing a login with {short(intent.after)} on {len(proxies)} proxies")
    key = scene.world.keystore.key(_version(ring, intent.after))
    patience = scene.spec.rotation.settle_timeout
    with scene.world.journal.step("test", intent.after):
        return scene.tests.accepted(verification.PENDING, key, observed, proxies, patience)


def finish(
    scene: Scene, ring: Ring, observed: VirtualProxy, proxies: Sequence[ProxyService]
) -> tuple[Ring, tuple[Check, ...]]:
    """The step finish: promote, hand over, and see that the previous key is refused. There is no way back from here."""
    with scene.world.journal.step("finish", _intent(ring).after):
        return _finished(scene, ring, observed, proxies)


def _finished(
    scene: Scene, ring: Ring, observed: VirtualProxy, proxies: Sequence[ProxyService]
) -> tuple[Ring, tuple[Check, ...]]:
    now = scene.world.clock.now()
    intent = _intent(ring)
    due = scene.spec.consumers is Consumers.HOOK
    delivery = Delivery(id=uuid.uuid4().hex, fingerprint=intent.after, since=now) if due else None
    promoted = stages.promoted(ring, now, delivery)
    if intent.kind is IntentKind.ROLLBACK:
        promoted = stages.put_off(promoted, after_rollback(scene.spec, now))
    ring = scene.world.keystore.save(promoted)
    undelivered: NotDelivered | None = None
    try:
        ring = deliver(scene, ring)
    except NotDelivered as error:
        undelivered = error
    checks = _previous_refused(scene, ring, observed, proxies)
    if undelivered is not None:
        raise undelivered.with_checks(checks)
    return ring, checks


def deliver(scene: Scene, ring: Ring) -> Ring:
    """Hand the key over, if that is due. Raises NotDelivered, and leaves it due."""
    if ring.delivery is None:
        return ring
    keystore = scene.world.keystore
    version = _version(ring, ring.delivery.fingerprint)
    scene.world.tell(f"handing over the private key {short(version.fingerprint)}")
    details = {
        "SITE": scene.spec.site,
        "NAME": scene.spec.name,
        "PREFIX": scene.spec.prefix,
        "ALGORITHM": scene.spec.rotation.algorithm.value,
    }
    try:
        with scene.world.journal.step("hand over", version.fingerprint):
            scene.world.hand_over.deliver(ring.delivery.id, version, keystore.key(version), details)
    except NotDelivered as error:
        keystore.save(stages.delivery_failed(ring))
        error.key = version
        raise
    return keystore.save(stages.delivered(ring))


def _previous_refused(
    scene: Scene, ring: Ring, observed: VirtualProxy, proxies: Sequence[ProxyService]
) -> tuple[Check, ...]:
    """The previous key must be refused wherever the new one was accepted. Raises PersonNeeded."""
    previous = ring.at(Stage.PREVIOUS)
    if previous is None:
        return ()
    scene.world.tell(f"testing that {short(previous.fingerprint)} is refused")
    reachable = [proxy for proxy in proxies if scene.world.logins.reachable(proxy)]
    patience = scene.spec.rotation.settle_timeout
    key = scene.world.keystore.key(previous)
    checks = scene.tests.refused(verification.PREVIOUS, key, observed, reachable, patience)
    if verification.all_passed(checks):
        return checks
    raise PersonNeeded(
        f"{scene.spec.name}: the new key is current and proven, but the previous one, {short(previous.fingerprint)}, "
        f"is not known to be refused everywhere: {verification.worst_of(checks)}",
        hint="look at the proxies named, restart their Qlik Sense Proxy Service, then run "
        f"rotator verify {scene.spec.name}",
    ).with_checks(checks)


def undo(
    scene: Scene, ring: Ring, observed: VirtualProxy, proxies: Sequence[ProxyService], failed: Sequence[Check]
) -> Undone:
    """The inverse of set: the certificate that was there is put back and tested. Returns the error to raise.

    Raises UndoFailed, naming both causes and what to do by hand, where the old key is not proven to be back; the
    intent then stays open, on its way back.
    """
    with scene.world.journal.step("undo", _intent(ring).before):
        return _undone(scene, ring, observed, proxies, failed)


def _undone(
    scene: Scene, ring: Ring, observed: VirtualProxy, proxies: Sequence[ProxyService], failed: Sequence[Check]
) -> Undone:
    name, keystore = scene.spec.name, scene.world.keystore
    intent = _intent(ring)
    told = verification.worst_of(failed) or "as an earlier run found"
    cause = f"{name}: the new key {short(intent.after)} failed its test login: {told}"
    scene.world.tell(f"the test failed; putting {named(intent.before)} back")
    try:
        ring = _way_back(scene, ring)
        if observed.fingerprint != intent.before:
            text = keystore.certificate(intent.before_certificate) if intent.before_certificate else ""
            observed = put(scene, ring, observed.id, start=intent.after, goal=intent.before, text=text)
        back = _back_in_place(scene, ring, observed, proxies)
    except RotatorError as error:
        raise UndoFailed(
            f"{cause}; and putting the old certificate back failed: {error.message}", hint=_by_hand(scene)
        ).with_checks(failed) from None
    if back and not verification.all_passed(back):
        raise UndoFailed(
            f"{cause}; the old certificate is back, but its key does not log in everywhere: "
            f"{verification.worst_of(back)}",
            hint=_by_hand(scene),
        ).with_checks((*failed, *back))
    try:
        keystore.save(stages.undone(ring, scene.world.clock.now()))
    except KeyStoreError as error:
        scene.world.tell(f"the keyring could not note that: {error.message}; the next run sees it")
    return Undone(
        f"{cause}; undone: the certificate that was there is back" + (", and its key logs in" if back else ""),
        hint="look at the proxies named (rotator doctor), then rotate again",
    ).with_checks((*failed, *back))


def _way_back(scene: Scene, ring: Ring) -> Ring:
    """From here on the way leads back, after a crash too. A keyring that cannot note it does not keep users out."""
    try:
        return scene.world.keystore.save(stages.undoing(ring))
    except KeyStoreError as error:
        scene.world.tell(f"the keyring could not note the undo: {error.message}")
        return ring


def _back_in_place(
    scene: Scene, ring: Ring, observed: VirtualProxy, proxies: Sequence[ProxyService]
) -> tuple[Check, ...]:
    """Test logins with the key that was put back; none where its private key is not ours, as under `--replace-key`."""
    old = ring.known(_intent(ring).before)
    if old is None:
        return ()
    key = scene.world.keystore.key(old)
    return scene.tests.accepted(verification.CURRENT, key, observed, proxies, scene.spec.rotation.settle_timeout)


def _by_hand(scene: Scene) -> str:
    return (
        f"by hand: `rotator status` names the key on the server; `rotator keys export {scene.spec.name}` prints the "
        f"certificate that belongs there: in the QMC under Virtual proxies > {scene.spec.description} > "
        "Authentication > JWT certificate paste it and Apply (this ends the sessions), then run rotator verify "
        + scene.spec.name
    )


def _intent(ring: Ring) -> Intent:
    assert ring.intent is not None  # noqa: S101 - the steps after set are called with an open intent only
    return ring.intent


def _version(ring: Ring, fingerprint: Fingerprint) -> KeyVersion:
    version = ring.known(fingerprint)
    assert version is not None  # noqa: S101 - an intent or a delivery names a key of its own ring
    return version
