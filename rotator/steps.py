"""The steps that put another certificate on a virtual proxy: create, set, test and finish.

Every step leaves a state that the next run can go on from: the ring in the keyring is written before and after each
effect on the server, and the server is asked before it is changed and again afterwards.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from rotator import certificates, verification
from rotator.errors import (
    KeyNotFound,
    KeyStoreCorrupt,
    KeyStoreError,
    NotDelivered,
    PersonNeeded,
    RotatorError,
    UnknownState,
    VerificationFailed,
)
from rotator.intents import Change, current, finishing, held, opened, pasted_unread, version_of, withdraw
from rotator.keys import PrivateKey, digest, inspect_certificate
from rotator.model import (
    Check,
    Consumers,
    Delivery,
    Digest,
    Fingerprint,
    Intent,
    IntentKind,
    KeyVersion,
    ProxyService,
    Ring,
    Stage,
    VirtualProxy,
    counted,
    short,
)
from rotator.planning import stages
from rotator.planning.drift import unknown_certificate
from rotator.planning.due import after_rollback, ends_early
from rotator.planning.rotation import reusable_pending
from rotator.scene import Scene
from rotator.setting import NO_ANSWER, put


def create(scene: Scene, ring: Ring) -> tuple[Ring, KeyVersion]:
    """A pending key, stored and proven: the one that an earlier run prepared, or a new one."""
    with scene.world.journal.step("create"):
        return _created(scene, ring)


def _created(scene: Scene, ring: Ring) -> tuple[Ring, KeyVersion]:
    certificates.check_clocks(scene)
    ready = reusable_pending(ring, scene.spec)
    if ready is not None and held(scene, ready):
        scene.world.tell(f"using the pending key {short(ready.fingerprint)}")
        if ends_early(scene.spec, ready, scene.world.clock.now()):
            ring, _ = certificates.made_anew(scene, ring, ready)
        return ring, version_of(ring, ready.fingerprint)
    world, rotation = scene.world, scene.spec.rotation
    scene.world.tell(f"making a {rotation.key_bits}-bit RSA key")
    key = world.generate(rotation.key_bits)
    text = certificates.made(scene, key)
    version = described(key, text, Stage.PENDING, scene)
    world.keystore.add_certificate(text)
    world.keystore.add_key(version, key)
    return world.keystore.save(stages.with_pending(ring, version, version.created)), version


def described(key: PrivateKey, certificate: str, stage: Stage, scene: Scene) -> KeyVersion:
    """The index entry of a key that is stored now. One that was current before rotator came has been so since its certificate."""
    now = scene.world.clock.now()
    info = inspect_certificate(certificate)
    assert info is not None  # noqa: S101 - the caller made or read this certificate
    begun = now if stage is Stage.PENDING else min(info.not_before, now)
    return KeyVersion(
        item=f"{now:%Y%m%dT%H%M%SZ}-{short(key.fingerprint)}",
        fingerprint=key.fingerprint,
        kid=key.public.kid,
        bits=key.bits,
        stage=stage,
        created=begun,
        since=begun,
        certificate=digest(certificate),
        not_after=info.not_after,
        sent=stage is not Stage.PENDING,
    )


def served(known: KeyVersion, observed: VirtualProxy, kept: Digest, now: datetime) -> KeyVersion:
    """The index entry of a key of ours that becomes current as the server shows it, with the certificate that is `kept`."""
    ends = observed.not_after or known.not_after
    return replace(known, stage=Stage.CURRENT, since=now, certificate=kept, not_after=ends)


def set_certificate(
    scene: Scene, ring: Ring, virtual_proxy: VirtualProxy, *, resumed: bool
) -> tuple[Ring, VirtualProxy]:
    """The step set: the intent's certificate on the server.

    Gives the intent up where nothing was changed for certain, but not one that an earlier run opened (`resumed`), whose
    PUT may still be on its way: that one is noted as sent anew first, which also shows that the keyring can be written.
    """
    intent = opened(ring)
    if resumed and pasted_unread(intent, virtual_proxy):
        raise unknown_certificate(scene.spec.name, virtual_proxy)
    ring, text = certificates.text_of(scene, ring, version_of(ring, intent.after))
    if resumed:
        ring = scene.world.keystore.save(stages.opened(ring, intent, virtual_proxy.modified))
    scene.world.tell(f"putting the certificate of {short(intent.after)} on the virtual proxy")
    try:
        with scene.world.journal.step("set", intent.after):
            return ring, put(scene, ring, virtual_proxy.id, start=intent.before, goal=intent.after, text=text)
    except RotatorError as error:
        if error.unchanged and not resumed:
            withdraw(scene, ring)
        elif isinstance(error, (UnknownState, *NO_ANSWER)):
            goes_on = (
                f"the next run asks the server and goes on from there: rotator {finishing(intent)} {scene.spec.name}"
            )
            error.hint = f"{error.hint}; {goes_on}" if error.hint else goes_on
        raise


def put_back(scene: Scene, ring: Ring, virtual_proxy: VirtualProxy, version: KeyVersion) -> VirtualProxy:
    """The certificate of a key that is current already, on a virtual proxy that shows another or none."""
    goal = version.fingerprint
    ring, text = certificates.text_of(scene, ring, version)
    with scene.world.journal.step("set", goal):
        return put(scene, ring, virtual_proxy.id, start=virtual_proxy.fingerprint, goal=goal, text=text)


def test(
    scene: Scene, change: Change, virtual_proxy: VirtualProxy, proxies: Sequence[ProxyService]
) -> tuple[Check, ...]:
    """The step test: the new key logs in as the right user on every linked proxy, each given `settle_timeout`.

    Raises VerificationFailed, which carries the checks and says what went wrong on which proxy.
    """
    assert change.new is not None  # noqa: S101 - a change goes forward only where the keyring has the new key
    after = change.intent.after
    scene.world.tell(f"testing a login with {short(after)} on {counted(len(proxies), 'proxy', 'proxies')}")
    patience = scene.spec.rotation.settle_timeout
    with scene.world.journal.step("test", after):
        checks = scene.tests.accepted(verification.PENDING, change.new, virtual_proxy, proxies, patience)
        if not verification.all_passed(checks):
            told = verification.worst_of(checks) or "it is linked to no proxy any more"
            raise VerificationFailed(told).with_checks(checks)
        return checks


class NotPromoted(Exception):
    """The new key is in place and proven, but the keyring refused to note it, and still says what it said before."""


def finish(
    scene: Scene, ring: Ring, virtual_proxy: VirtualProxy, proxies: Sequence[ProxyService]
) -> tuple[Ring, tuple[Check, ...]]:
    """The step finish: promote, hand over, and see that the previous key is refused. There is no way back from here.

    Raises NotPromoted where the very first of this, the promotion, did not happen: then there is.
    """
    now = scene.world.clock.now()
    intent = opened(ring)
    with scene.world.journal.step("finish", intent.after):
        promoted = stages.promoted(ring, now, hand_over_of(scene, intent.after, now))
        if intent.kind is IntentKind.ROLLBACK:
            promoted = stages.put_off(promoted, after_rollback(scene.spec, version_of(promoted, intent.after), now))
        return _end(scene, _promoted(scene, intent, promoted), virtual_proxy, proxies)


def finish_promoted(
    scene: Scene, ring: Ring, virtual_proxy: VirtualProxy, proxies: Sequence[ProxyService]
) -> tuple[Ring, tuple[Check, ...]]:
    """The same from a ring on whose promotion the keyring has stored, though it gave no answer."""
    with scene.world.journal.step("finish", current(ring).fingerprint):
        return _end(scene, ring, virtual_proxy, proxies)


def _end(
    scene: Scene, ring: Ring, virtual_proxy: VirtualProxy, proxies: Sequence[ProxyService]
) -> tuple[Ring, tuple[Check, ...]]:
    undelivered: NotDelivered | None = None
    try:
        ring = deliver(scene, ring)
    except NotDelivered as error:
        undelivered = error
    try:
        ring, checks = previous_refused(scene, ring, virtual_proxy, proxies)
    except PersonNeeded as error:
        raise (error if undelivered is None else _also(scene, undelivered, error)) from None
    if undelivered is not None:
        raise undelivered.with_checks(checks)
    return ring, checks


def _also(scene: Scene, undelivered: NotDelivered, error: PersonNeeded) -> PersonNeeded:
    """Consumers who have no key that logs in come first, whatever else a person is needed for."""
    error.key = undelivered.key
    error.message = f"{undelivered.message}; and {error.message.removeprefix(f'{scene.spec.name}: ')}"
    error.hint = f"{undelivered.hint}; {error.hint}"
    return error


def _promoted(scene: Scene, intent: Intent, promoted: Ring) -> Ring:
    """The promotion, written. Where the keyring fails it is asked what it holds now."""
    keystore = scene.world.keystore
    try:
        return keystore.save(promoted)
    except KeyStoreError as error:
        cause = error.message
    try:
        stored = keystore.ring()
    except KeyStoreError:
        raise PersonNeeded(
            f"{scene.spec.name}: the new key is in place and logs in, but whether the keyring has noted that is not "
            f"known: {cause}",
            hint=f"mend the keyring (rotator doctor), then: rotator recover {scene.spec.name}",
        ) from None
    if stored.generation == promoted.generation:
        raise NotPromoted(cause)
    if stages.says_promoted(stored, intent.after):
        return stored
    raise PersonNeeded(
        f"{scene.spec.name}: the new key {short(intent.after)} is in place and logs in, but something else wrote to the "
        f"keyring meanwhile, and it does not say so: {cause}",
        hint=f"find out what else works on this keyring (rotator history), then: rotator recover {scene.spec.name}",
    )


def hand_over_of(scene: Scene, fingerprint: Fingerprint, now: datetime) -> Delivery | None:
    """The hand-over that is due once a key has become current; None where consumers do not get it by a hook."""
    if scene.spec.consumers is not Consumers.HOOK:
        return None
    return Delivery(id=uuid.uuid4().hex, fingerprint=fingerprint, since=now)


def deliver_late(scene: Scene, ring: Ring) -> tuple[Ring, bool]:
    """The hand-over that an earlier run left due, and whether it was made: consumers may have no hook any more.

    Raises NotDelivered.
    """
    if scene.spec.consumers is Consumers.HOOK:
        scene.world.tell("delivering a key that an earlier run could not hand over")
        return deliver(scene, ring), True
    scene.world.tell(f'the key is handed over no more: consumers = "{scene.spec.consumers}" now')
    return scene.world.keystore.save(stages.delivered(ring)), False


def deliver(scene: Scene, ring: Ring) -> Ring:
    """Hand the key over, if that is due. Raises NotDelivered, and leaves it due."""
    if ring.delivery is None:
        return ring
    keystore = scene.world.keystore
    version = version_of(ring, ring.delivery.fingerprint)
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
        _noted(scene, stages.delivery_failed, ring)
        error.key = version
        raise
    except KeyStoreError as error:
        raise _undelivered(scene, version, "could not be read to be handed over", error) from None
    try:
        return keystore.save(stages.delivered(ring))
    except KeyStoreError as error:
        raise _undelivered(scene, version, "was handed over, but the keyring could not note that", error) from None


def _noted(scene: Scene, change: Callable[[Ring], Ring], ring: Ring) -> Ring:
    """A change of the ring as it is now, after `ring` perhaps. It is due all the same where the keyring does not take it."""
    keystore = scene.world.keystore
    try:
        return keystore.save(change(keystore.ring()))
    except KeyStoreError as error:
        scene.world.tell(f"the keyring could not note that: {error.message}; the next run does it again")
        return ring


def _undelivered(scene: Scene, version: KeyVersion, what: str, cause: KeyStoreError) -> NotDelivered:
    error = NotDelivered(
        f"{scene.spec.name}: the key {short(version.fingerprint)} is current, and {what}: {cause.message}",
        hint=f"mend the keyring; the key is handed over by the next run, under the same id: rotator rotate {scene.spec.name}",
    )
    error.key = version
    return error


def previous_refused(
    scene: Scene, ring: Ring, virtual_proxy: VirtualProxy, proxies: Sequence[ProxyService]
) -> tuple[Ring, tuple[Check, ...]]:
    """See that the previous key is refused wherever the new one was accepted, and note that it was seen.

    Raises PersonNeeded where it is not, or cannot be tested now.
    """
    previous = ring.at(Stage.PREVIOUS)
    if previous is None:
        return ring, ()
    scene.world.tell(f"testing that {short(previous.fingerprint)} is refused")
    reachable = [proxy for proxy in proxies if scene.world.logins.reachable(proxy)]
    patience = scene.spec.rotation.settle_timeout
    try:
        key = scene.world.keystore.key(previous)
    except (KeyNotFound, KeyStoreCorrupt) as error:
        scene.world.tell(f"whether the previous key is refused cannot be tested: {error.message}")
        return _noted(scene, stages.tested, ring), ()
    except KeyStoreError as error:
        raise PersonNeeded(
            f"{scene.spec.name}: the new key is current and proven, but the previous one could not be tested: "
            f"{error.message}",
            hint=f"mend the keyring, then run rotator verify {scene.spec.name}",
        ) from None
    checks = scene.tests.refused(verification.PREVIOUS, key, virtual_proxy, reachable, patience)
    ring = _noted(scene, stages.tested, ring)
    if verification.all_passed(checks):
        return ring, checks
    raise PersonNeeded(
        f"{scene.spec.name}: the new key is current and proven, but the previous one, {short(previous.fingerprint)}, "
        f"is not known to be refused everywhere: {verification.worst_of(checks)}",
        hint="look at the proxies named, restart their Qlik Sense Proxy Service, then run "
        f"rotator verify {scene.spec.name}",
    ).with_checks(checks)
