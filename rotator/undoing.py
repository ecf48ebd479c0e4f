"""The inverse of the step set: the certificate that was there is put back, and its key tested before that is believed."""

from collections.abc import Sequence
from dataclasses import replace

from rotator import certificates, verification
from rotator.errors import Drift, KeyNotFound, KeyStoreError, NotFound, RotatorError, UndoFailed, Undone
from rotator.intents import Change
from rotator.model import Check, Fingerprint, Intent, IntentKind, ProxyService, Ring, VirtualProxy, short
from rotator.planning import stages
from rotator.planning.drift import out_of_loss, taken_in
from rotator.scene import Scene
from rotator.setting import named, put


class Promoted(Exception):
    """Nothing was undone: the keyring has stored the promotion, whose answer it did not give. Carries the ring."""

    def __init__(self, ring: Ring) -> None:
        super().__init__()
        self.ring = ring


def undo(
    scene: Scene,
    ring: Ring,
    change: Change,
    virtual_proxy: VirtualProxy,
    proxies: Sequence[ProxyService],
    failed: Sequence[Check],
    cause: str,
    *,
    proven: bool = False,
) -> Undone:
    """Put back what was there, and test it. Returns the error to raise, which tells the `cause` and the way back.

    `proven`: the new key logs in, but its promotion got no answer from the keyring; raises Promoted, having changed
    nothing, where that shows to be stored after all. Raises UndoFailed, naming both causes and what to do by hand, where
    the old key is not proven to be back; the intent then stays open, on its way back. A key that the keyring does not
    give is gone back to only where every proxy refuses the new one, and its certificate is there: else the new one
    stays, and may be the only one that logs in.
    """
    lost = change.old is None and ring.known(change.intent.before) is not None and not _given_up(change.intent)
    gain = change.old is not None or (change.old_text is not None and verification.refused_everywhere(failed))
    if not gain and change.new is not None and virtual_proxy.fingerprint == change.intent.after:
        raise _kept(scene, ring, change, virtual_proxy, cause, failed, lost=lost)
    with scene.world.journal.step("undo", change.intent.before):
        ring = _way_back(scene, ring, change.intent.after, proven=proven)
        return _undone(scene, ring, change, virtual_proxy, proxies, failed, f"{scene.spec.name}: {cause}", lost=lost)


def _kept(
    scene: Scene,
    ring: Ring,
    change: Change,
    virtual_proxy: VirtualProxy,
    cause: str,
    failed: Sequence[Check],
    *,
    lost: bool,
) -> UndoFailed:
    """The error where the new key stays: the next run tests it again.

    Where every proxy refuses it, and there is nothing to go back to, the change is over.
    """
    before, name = change.intent.before, scene.spec.name
    if change.old_text is None:
        why = "the old certificate was not put back: the keyring does not give it"
    elif not change.old_text:
        why = "it stays in place: there was no certificate before"
    elif before is None:
        why = "what was there before was not put back: it cannot be read, so nobody could see who logs in with it"
    else:
        why = (
            f"the old certificate was not put back: the keyring does not give its key, {named(before)}, so nobody could "
            "see that it logs in"
        )
    if verification.refused_everywhere(failed):
        _note(scene, ring, change.intent)
        hint = certificates.once_over(scene, virtual_proxy.not_after) or (
            f"look at the proxies named (rotator doctor), then rotator recover {name}; or put another key in its place: "
            f"rotator adopt {name} --replace-key"
        )
    else:
        _forward(scene, ring)
        hint = _on_the_proxies(scene) + ("; or restore the keyring from a backup, and then the same" if lost else "")
    return UndoFailed(f"{name}: {cause}; and {why}", hint=hint).with_checks(failed)


def _undone(
    scene: Scene,
    ring: Ring,
    change: Change,
    virtual_proxy: VirtualProxy,
    proxies: Sequence[ProxyService],
    failed: Sequence[Check],
    cause: str,
    *,
    lost: bool,
) -> Undone:
    before = change.intent.before
    scene.world.tell(f"putting {named(before)} back")
    try:
        if virtual_proxy.fingerprint != before:
            start, text = change.intent.after, _text(change)
            virtual_proxy = put(scene, ring, virtual_proxy.id, start=start, goal=before, text=text, patient=True)
        back = _back_in_place(scene, change, virtual_proxy, proxies)
    except NotFound:
        raise UndoFailed(
            f"{cause}; and there is nothing to put the old certificate back on: the virtual proxy "
            f"{scene.spec.prefix!r} was deleted meanwhile",
            hint=f"create it again with the key that its consumers have: rotator create-proxy {scene.spec.name}",
        ).with_checks(failed) from None
    except Drift as error:
        raise UndoFailed(
            f"{cause}; and the old certificate was not put back over one that is neither: {error.message}",
            hint=f"leave it as it is, somebody logs in with it; {taken_in(scene.spec.name)}",
        ).with_checks(failed) from None
    except RotatorError as error:
        raise UndoFailed(
            f"{cause}; and putting the old certificate back failed: {error.message}", hint=_by_hand(scene)
        ).with_checks(failed) from None
    if change.old is not None and not verification.all_passed(back):
        told = verification.worst_of(back) or "it is linked to no proxy"
        if certificates.ended(scene, virtual_proxy.not_after) and verification.decided(back):
            # Nothing more can come of this change: only a new key lets anybody in again, and none is made during one.
            _note(scene, ring, change.intent)
            raise UndoFailed(
                f"{cause}; the old certificate is back, but it has ended, and its key is refused: {told}",
                hint=f"put a new key in its place: rotator rotate {scene.spec.name} --now",
            ).with_checks((*failed, *back))
        raise UndoFailed(
            f"{cause}; the old certificate is back, but its key does not log in everywhere: {told}",
            hint=_on_the_proxies(scene),
        ).with_checks((*failed, *back))
    logs_in = ", and its key logs in" if back else ""
    wrong = _note(scene, ring, change.intent)
    if wrong is not None:
        raise UndoFailed(
            f"{cause}; the old certificate is back{logs_in}, but the keyring has noted the new key, "
            f"{short(change.intent.after)}, as the current one, and cannot take that back: {wrong.message}",
            hint=f"mend the keyring (rotator doctor), then: rotator recover {scene.spec.name}",
        ).with_checks((*failed, *back))
    if lost:
        raise UndoFailed(
            f"{cause}; the old certificate is back, but the keyring does not give its key, {named(before)}, so nobody "
            "could see that it logs in",
            hint=out_of_loss(scene.spec.name),
        ).with_checks(failed)
    again = "rotate" if change.intent.kind is IntentKind.ROTATE else "try"
    return Undone(
        f"{cause}; undone: the certificate that was there is back{logs_in}",
        hint=f"look at {'the proxies named' if failed else 'keyring and server'} (rotator doctor), then {again} again",
    ).with_checks((*failed, *back))


def _given_up(intent: Intent) -> bool:
    """Whether a person has said that nobody has the key that was there: its certificate is all there is to put back."""
    return intent.kind is IntentKind.REPLACE_KEY


def _note(scene: Scene, ring: Ring, intent: Intent) -> KeyStoreError | None:
    """The change is over, in the keyring too. One that fails is told: the intent that stays is ended by the next run.

    But where a promotion got no answer from the keyring it may be stored after all, and then names a key that no proxy
    takes: tokens would be signed with it, and consumers given it. Returns the error that left it so.
    """
    keystore, over = scene.world.keystore, stages.undone(ring, scene.world.clock.now())
    try:
        keystore.save(over)
    except KeyStoreError as error:
        cause = error
    else:
        return None
    stored = _promotion(scene, intent.after)
    if stored is None:
        scene.world.tell(f"the keyring could not note that: {cause.message}; the next run sees it")
        return None
    try:
        keystore.save(replace(over, generation=stored.generation))
    except KeyStoreError as error:
        return error
    return None


def _text(change: Change) -> str:
    if change.old_text is None:
        raise KeyNotFound("the certificate that was there before is not in the keyring any more")
    return change.old_text


def _way_back(scene: Scene, ring: Ring, after: Fingerprint, *, proven: bool) -> Ring:
    """From here on the way leads back, after a crash too. A keyring that cannot note it does not keep users out.

    Raises Promoted where a promotion that got no answer is what is stored.
    """
    try:
        return scene.world.keystore.save(stages.undoing(ring))
    except KeyStoreError as error:
        stored = _promotion(scene, after) if proven else None
        if stored is not None:
            raise Promoted(stored) from None
        scene.world.tell(f"the keyring could not note the undo: {error.message}")
        return ring


def _promotion(scene: Scene, after: Fingerprint) -> Ring | None:
    """What the keyring holds, where that is the promotion of a key; None where it is not, or gives no answer."""
    try:
        stored = scene.world.keystore.ring()
    except KeyStoreError:
        return None
    return stored if stages.says_promoted(stored, after) else None


def _forward(scene: Scene, ring: Ring) -> None:
    """The way back that an earlier run took is given up: what belongs on the server is what is there."""
    if ring.intent is None or not ring.intent.undoing:
        return
    try:
        scene.world.keystore.save(stages.undoing(ring, back=False))
    except KeyStoreError as error:
        scene.world.tell(f"the keyring could not note that the new key stays: {error.message}")


def _back_in_place(
    scene: Scene, change: Change, virtual_proxy: VirtualProxy, proxies: Sequence[ProxyService]
) -> tuple[Check, ...]:
    """Test logins with the key that was put back; none where its private key is not ours, as under `--replace-key`."""
    if change.old is None:
        return ()
    return scene.tests.accepted(
        verification.CURRENT, change.old, virtual_proxy, proxies, scene.spec.rotation.settle_timeout
    )


def _by_hand(scene: Scene) -> str:
    return (
        f"by hand: `rotator status` names the key on the server; `rotator keys export {scene.spec.name}` prints the "
        f"certificate that belongs there, from BEGIN CERTIFICATE on: in the QMC under Virtual proxies > "
        f"{scene.spec.description} > Authentication > JWT certificate paste it and Apply (this ends the sessions), then "
        f"run rotator verify {scene.spec.name}"
    )


def _on_the_proxies(scene: Scene) -> str:
    """Where the repository holds the right certificate, pasting it again would help nobody."""
    return (
        "the certificate on the server is the right one: restart the Qlik Sense Proxy Service on the hosts named, and in "
        f"the QMC under Proxies > Virtual proxies see that they are linked to {scene.spec.description}, then run rotator "
        f"recover {scene.spec.name}"
    )
