"""A pending key in place of what is there: set, test, finish, or undo; from its beginning, or where an earlier run left it."""

from dataclasses import replace

from rotator import certificates, intents, looking, steps, undoing
from rotator.errors import (
    KeyStoreUnavailable,
    NotDelivered,
    PersonNeeded,
    RotatorError,
    ServerError,
    VerificationFailed,
)
from rotator.model import Check, IntentKind, Outcome, ProxyService, Result, Ring, VirtualProxy, short
from rotator.planning.recovery import Step
from rotator.planning.rotation import reusable_pending
from rotator.scene import Scene
from rotator.setting import patiently


def begin(scene: Scene, observed: looking.Observed, kind: IntentKind, outcome: Outcome) -> Result:
    """A pending key put in place of what is there: create, set, test, finish, or undo. Raises RotatorError.

    Where nothing of it reached the server and nothing can any more, nothing of it is left in the keyring either; but a
    key that was prepared by an earlier run stays, as somebody may have it.
    """
    prepared = reusable_pending(observed.ring, scene.spec)
    ring, pending = steps.create(scene, observed.ring)
    ring = intents.open_intent(scene, ring, observed.virtual_proxy, kind, pending)
    try:
        return conclude(scene, replace(observed, ring=ring), Step.SET, outcome)
    except RotatorError as error:
        if error.unchanged and (prepared is None or pending.item != prepared.item):
            intents.discard(scene, pending)
        raise


def conclude(
    scene: Scene, observed: looking.Observed, step: Step, outcome: Outcome, *, resumed: bool = False
) -> Result:
    """From an open intent to its end: set where that is still to do, test, finish, or undo. Raises RotatorError.

    `resumed`: an earlier run opened the intent.
    """
    ring, virtual_proxy, proxies = observed.ring, observed.virtual_proxy, observed.proxies
    scene.check_way()
    if resumed and step is Step.SET:
        # The other steps go on: what is back in place in the end is what consumers have.
        certificates.check_clocks(scene)
    change = intents.change_of(scene, ring)
    after = short(change.intent.after)
    names = {IntentKind.ROLLBACK: "previous key", IntentKind.FIRST_KEY: "first key"}
    key = names.get(change.intent.kind, "new key")
    if step is Step.UNDO:
        cause = f"the {key} failed its test login in an earlier run" if change.intent.undoing else f"the {key} is lost"
        raise undoing.undo(scene, ring, change, virtual_proxy, proxies, (), f"{cause}: {after}")
    if step is Step.SET:
        ring, virtual_proxy = steps.set_certificate(scene, ring, virtual_proxy, resumed=resumed)
        proxies = _linked_now(scene, virtual_proxy, proxies)
    try:
        tested = steps.test(scene, change, virtual_proxy, proxies)
    except VerificationFailed as failure:
        if change.intent.kind is IntentKind.FIRST_KEY:
            raise VerificationFailed(
                f"{scene.spec.name}: the first key does not log in everywhere: {failure.message}",
                hint=_first_key_again(scene, virtual_proxy),
            ).with_checks(failure.checks) from None
        cause = f"the {key} {after} failed its test login: {failure.message}"
        raise undoing.undo(scene, ring, change, virtual_proxy, proxies, failure.checks, cause) from None
    try:
        ring, refused = _finished(
            scene, ring, change, virtual_proxy, proxies, tested, cause=f"the {key} {after} logs in"
        )
    except NotDelivered as error:
        raise error.with_checks((*tested, *error.checks)) from None
    message = f"the key {short(intents.current(ring).fingerprint)} is current and proven"
    return scene.result(ring, outcome, "Promoted", message, (*tested, *refused), virtual_proxy=virtual_proxy)


def _finished(
    scene: Scene,
    ring: Ring,
    change: intents.Change,
    virtual_proxy: VirtualProxy,
    proxies: tuple[ProxyService, ...],
    tested: tuple[Check, ...],
    cause: str,
) -> tuple[Ring, tuple[Check, ...]]:
    """The step finish; where the keyring does not take it what logged in before is put back, if there was such a key."""
    name = scene.spec.name
    try:
        return steps.finish(scene, ring, virtual_proxy, proxies)
    except steps.NotPromoted as refusal:
        cause = f"{cause}, but the keyring cannot note that: {refusal}"
    # Where there is no key to go back to, what logs in stays, and the next run goes on from here.
    if change.intent.kind is IntentKind.FIRST_KEY:
        raise KeyStoreUnavailable(
            f"{name}: {cause}", hint=f"mend the keyring (rotator doctor), then again: rotator create-proxy {name}"
        ).with_checks(tested)
    if change.old is None:
        raise PersonNeeded(
            f"{name}: {cause}; it stays in place, as the keyring does not give the key that was there before",
            hint=f"mend the keyring (rotator doctor), then: rotator recover {name}",
        ).with_checks(tested)
    try:
        raise undoing.undo(scene, ring, change, virtual_proxy, proxies, (), cause, proven=True)
    except undoing.Promoted as stored:
        ring = stored.ring
    scene.world.tell("the keyring has noted it after all")
    return steps.finish_promoted(scene, ring, virtual_proxy, proxies)


def _first_key_again(scene: Scene, virtual_proxy: VirtualProxy) -> str:
    """What to do about a first key that does not log in. Nothing gives a certificate that has ended another end."""
    name = scene.spec.name
    again = f"again: rotator create-proxy {name}"
    if certificates.ended(scene, virtual_proxy.not_after):
        return f"its certificate has ended: take it out of the virtual proxy in the QMC, or delete that there, then {again}"
    return f"look at the proxies named (rotator doctor), then {again}"


def _linked_now(
    scene: Scene, virtual_proxy: VirtualProxy, before: tuple[ProxyService, ...]
) -> tuple[ProxyService, ...]:
    """The proxies it is linked to after the change: somebody may have linked it elsewhere. Those `before` if none tells."""
    try:
        return looking.linked(patiently(scene, scene.world.repository.proxies), virtual_proxy)
    except ServerError as error:
        scene.world.tell(f"the proxies cannot be asked for anew: {error.message}")
        return before
