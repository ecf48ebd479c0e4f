"""recover, rollback and prune: out of a mess, back to the previous key, and old keys deleted for good."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from rotator import certificates, intents, looking, replacement, steps, verification
from rotator.adoption import replace_key
from rotator.errors import (
    Drift,
    KeyStoreError,
    NotDelivered,
    Refused,
    RotatorError,
    ServerError,
    Undone,
    VerificationFailed,
)
from rotator.model import (
    Auth,
    Check,
    CheckResult,
    IntentKind,
    KeyVersion,
    Memory,
    Outcome,
    Result,
    Ring,
    Stage,
    counted,
    short,
)
from rotator.planning import stages
from rotator.planning.drift import both_lost, problem
from rotator.planning.pruning import prunable
from rotator.planning.recovery import Evidence, Finding, Step, Way, assess
from rotator.scene import Scene
from rotator.setting import NO_ANSWER


_UNCHANGED: Final = "nothing was changed"


@dataclass(frozen=True, slots=True)
class LostKey:
    """`--replace-lost-key`: a fresh key in place of the server's, whose fingerprint a person `confirmed`."""

    confirmed: str


def recover(scene: Scene, lost: LostKey | None = None) -> Result:
    """Bring keyring and server back together: finish or undo what a crash left, or say what a person has to decide.

    Nothing is believed before a test login. An older copy of the keyring counts from here on only where that ends well.
    Raises RotatorError; ServerError where the server cannot be asked.
    """
    result = _replaced(scene, lost) if lost is not None else _recovered(scene)
    scene.world.keystore.accept()
    return result


def _recovered(scene: Scene) -> Result:
    ring = scene.world.keystore.ring()
    try:
        observed = looking.look(scene, ring)
    except NO_ANSWER as error:
        found = assess(Evidence(ring, None, frozenset(), asked=False))
        error.hint = f"{_UNCHANGED}; {_from_keyring(ring)}; {found.way}: rotator recover {scene.spec.name}"
        raise
    except (Drift, Refused):
        _accept_uncontested(scene)
        raise
    virtual_proxy = observed.virtual_proxy
    found = looking.found(scene, ring, virtual_proxy.fingerprint)
    if found.finding is Finding.NOTHING and virtual_proxy.certificate.strip():
        raise problem(scene.spec.name, ring, virtual_proxy, found)
    if found.finding is Finding.NOTHING and scene.world.keystore.memory() is Memory.NEWER:
        _accept_uncontested(scene)
        raise both_lost(scene.spec.name)
    scene.world.tell(f"found: {found.finding}; {found.way}")
    if found.way is Way.CONCLUDE:
        return _concluded(scene, observed)
    if found.way is Way.ALIGN:
        return _aligned(scene, observed, found.finding)
    if found.way in (Way.RESTORE, Way.PERSON):
        _accept_uncontested(scene)
        raise problem(scene.spec.name, ring, virtual_proxy, found)
    if found.finding is Finding.NOTHING:
        ring = looking.remember(scene, ring, virtual_proxy)
        message = "neither the server nor the keyring has a key of it"
        return scene.result(ring, Outcome.UNCHANGED, found.finding, message, virtual_proxy=virtual_proxy)
    current = intents.current(ring)
    with scene.world.journal.step("test", current.fingerprint):
        hint = certificates.once_ended(scene, virtual_proxy.not_after)
        try:
            checks = scene.tests.proven(scene.world.keystore.key(current), virtual_proxy, observed.proxies, hint=hint)
        except VerificationFailed as error:
            if hint is not None and verification.refused_everywhere(error.checks):
                # Nobody can log in any more: nothing contradicts an older copy, and a rotation goes on from it.
                scene.world.keystore.accept()
            raise
        if ring.untested:
            ring, refused = steps.previous_refused(scene, ring, virtual_proxy, observed.proxies)
            checks = (*checks, *refused)
    # Not before: what is written counts from then on, be it over an older copy of the keyring.
    ring = looking.remember(scene, ring, virtual_proxy)
    message = f"server and keyring agree on the key {short(current.fingerprint)}, and it logs in"
    return scene.result(ring, Outcome.UNCHANGED, found.finding, message, checks, virtual_proxy=virtual_proxy)


def _accept_uncontested(scene: Scene) -> None:
    """Where nobody can log in, nothing contradicts an older copy of the keyring: create-proxy then goes on from it."""
    repository = scene.world.repository
    try:
        there = repository.find(scene.spec.prefix)
        uncontested = there is None or not there.certificate.strip() or not looking.linked(repository.proxies(), there)
    except ServerError as error:
        scene.world.tell(f"whether anybody can log in cannot be asked: {error.message}")
        return
    if uncontested:
        scene.world.keystore.accept()


def _from_keyring(ring: Ring) -> str:
    """What the keyring alone says, as part of a sentence."""
    current = ring.at(Stage.CURRENT)
    holds = (
        f"the keyring holds {counted(len(ring.keys), 'key')} of it, {short(current.fingerprint)} being current"
        if current
        else ""
    )
    doing = f"a change to {short(ring.intent.after)} is not finished" if ring.intent else "no change is under way"
    return f"{holds or 'the keyring has no current key of it'}; {doing}"


def _concluded(scene: Scene, observed: looking.Observed) -> Result:
    """The change under way, to its end. What it undoes is what was wanted here: no failure, where keyring and server agree."""
    step = looking.first_step(scene, observed)
    scene.world.tell("finishing the change that an earlier run began")
    try:
        return replacement.conclude(scene, observed, step, Outcome.RECOVERED, resumed=True)
    except Undone as error:
        ring = scene.world.keystore.ring()
        if ring.intent is not None:
            error.message += "; but the keyring could not note that"
            error.hint = f"mend the keyring (rotator doctor), then again: rotator recover {scene.spec.name}"
            raise
        before = intents.opened(observed.ring).before
        if looking.found(scene, ring, before).finding is not Finding.SETTLED:
            return _after_undo(scene, error)
        seen = observed.virtual_proxy
        return scene.result(ring, Outcome.RECOVERED, error.reason, error.message, error.checks, virtual_proxy=seen)


def _after_undo(scene: Scene, undone: Undone) -> Result:
    """What is left where the certificate that was put back is not that of the current key."""
    begun, name = f"{undone.message}; then ", f"{scene.spec.name}: "
    try:
        result = _recovered(scene)
    except RotatorError as error:
        error.message = begun + error.message.removeprefix(name)
        error.hint = error.hint and error.hint.removeprefix(f"{_UNCHANGED}; ")
        raise error.with_checks((*undone.checks, *error.checks)) from None
    checks = (*undone.checks, *result.checks)
    return replace(result, outcome=Outcome.RECOVERED, message=begun + result.message, checks=checks)


def _aligned(scene: Scene, observed: looking.Observed, finding: Finding) -> Result:
    """The key that the server shows is ours: it becomes current, once it has logged in everywhere."""
    name, keystore = scene.spec.name, scene.world.keystore
    known = observed.ring.known(observed.virtual_proxy.fingerprint)
    assert known is not None  # noqa: S101 - a key is aligned only where the ring knows it
    with scene.world.journal.step("test", known.fingerprint):
        checks = scene.tests.proven(
            keystore.key(known),
            observed.virtual_proxy,
            observed.proxies,
            said=f"the server shows the {known.stage} key {short(known.fingerprint)}, but it does not log in everywhere",
            hint=certificates.once_over(scene, observed.virtual_proxy.not_after)
            or f"{_UNCHANGED}; see that the proxies named are up, then again: rotator recover {name}",
        )
    now = scene.world.clock.now()
    kept = keystore.add_certificate(observed.virtual_proxy.certificate)
    version = steps.served(known, observed.virtual_proxy, kept, now)
    delivery = steps.hand_over_of(scene, version.fingerprint, now)
    ring = keystore.save(stages.with_current(observed.ring, version, now, delivery))
    ring = looking.remember(scene, ring, observed.virtual_proxy)
    try:
        ring = steps.deliver(scene, ring)
    except NotDelivered as error:
        raise error.with_checks(checks) from None
    message = f"the server shows the {known.stage} key {short(known.fingerprint)}: it logs in, and is current now"
    return scene.result(ring, Outcome.RECOVERED, finding, message, checks, virtual_proxy=observed.virtual_proxy)


def _replaced(scene: Scene, lost: LostKey) -> Result:
    if scene.auth is not Auth.CERTIFICATE:
        raise Refused(
            f'{scene.spec.name}: --replace-lost-key needs auth = "certificate", which does not depend on any lost key',
            hint=f"use a configuration with the client certificate for [site.{scene.spec.site}]",
        )
    return replace(
        replace_key(scene, lost.confirmed, "recover {} --replace-lost-key"),
        outcome=Outcome.RECOVERED,
        reason="LostKeyReplaced",
    )


def rollback(scene: Scene) -> Result:
    """The previous key back in place, tested like a new one; the key that was current becomes previous.

    Raises RotatorError; where the old key fails its test the certificate that was there is put back.
    """
    ring = scene.world.keystore.ring()
    with scene.world.journal.step(looking.LOOK):
        observed = looking.observe(scene, ring)
        previous = _previous(scene, ring, observed)
        if previous is not None:
            certificates.check_clocks(scene)
        cuts = looking.cuts_of_change(scene, observed.proxies) if previous is not None else ()
    if previous is None:
        step = looking.first_step(scene, observed)
        return _rolled_back(scene, replacement.conclude(scene, observed, step, Outcome.ROLLED_BACK, resumed=True))
    looking.ask(scene, cuts)
    ring = intents.open_intent(scene, ring, observed.virtual_proxy, IntentKind.ROLLBACK, previous)
    result = replacement.conclude(scene, replace(observed, ring=ring), Step.SET, Outcome.ROLLED_BACK)
    return _rolled_back(scene, result)


def _previous(scene: Scene, ring: Ring, observed: looking.Observed) -> KeyVersion | None:
    """The key to go back to; None where a rollback is under way. Raises Refused, Drift."""
    name = scene.spec.name
    if ring.intent is not None and ring.intent.kind is IntentKind.ROLLBACK:
        return None
    if ring.intent is not None:
        raise Refused(
            f"{name}: a change of its certificate is not finished, so it is not known what to go back from",
            hint=f"finish or undo it first: rotator recover {name}",
        )
    looking.first_step(scene, observed)  # which raises where the server does not hold the current key
    previous = ring.at(Stage.PREVIOUS)
    if previous is None:
        raise Refused(
            f"{name}: there is no previous key to go back to",
            hint=f"see which keys there are: rotator keys list {name}",
        )
    if not intents.held(scene, previous):
        raise Refused(
            f"{name}: the previous key {short(previous.fingerprint)} is not in the keyring any more",
            hint=f"make a new one instead: rotator rotate {name} --now",
        )
    return previous


def _rolled_back(scene: Scene, result: Result) -> Result:
    try:
        retry = scene.world.keystore.ring().retry
    except KeyStoreError as error:
        # It is done, and noted: what is only told must not make a failure of it.
        scene.world.tell(f"until when it stays so cannot be told: {error.message}")
        retry = None
    until = f"; unattended runs leave it so until {retry.at:%Y-%m-%d %H:%M} UTC" if retry else ""
    return replace(result, reason="RolledBack", message=result.message + until)


def _serves(scene: Scene, observed: looking.Observed) -> bool:
    """Whether the key that the server shows logs in on every proxy that can be tested, at least one: a 401 then is about another key."""
    shown = observed.ring.known(observed.virtual_proxy.fingerprint)
    if shown is None or not intents.held(scene, shown):
        return False
    key = scene.world.keystore.key(shown)
    return verification.all_passed(
        scene.tests.accepted(verification.CURRENT, key, observed.virtual_proxy, observed.proxies)
    )


def _refused(scene: Scene, observed: looking.Observed, version: KeyVersion) -> bool:
    """Whether every proxy that can be tested refuses a key; with one that cannot be read nothing is lost."""
    if not intents.held(scene, version):
        return True
    key = scene.world.keystore.key(version)
    with scene.world.journal.step("test", version.fingerprint):
        return _passed(scene.tests.refused("retired", key, observed.virtual_proxy, observed.proxies))


def _passed(checks: Sequence[Check]) -> bool:
    """Whether each passed. A proxy that does not answer proves nothing; one that is skipped is not asked."""
    return all(check.skipped or check.result is CheckResult.PASSED for check in checks)


def prune(scene: Scene, keep: int) -> Result:
    """Delete retired keys for good, all but the `keep` newest. The server is asked first; without an answer none goes.

    One that was ever sent goes only where each proxy that can be tested refuses it, and lets in the key that the server
    shows: a clock that is wrong here may have made it look old while a proxy still serves it. A key goes before its line in
    the ring: cut short, the next prune goes on.
    """
    ring = scene.world.keystore.ring()
    observed = looking.look(scene, ring)
    old = prunable(ring, observed.virtual_proxy, keep, scene.world.clock.now())
    served = any(version.sent for version in old) and _serves(scene, observed)
    doomed = [version for version in old if not version.sent or (served and _refused(scene, observed, version))]
    for version in doomed:
        scene.world.tell(f"deleting the retired key {short(version.fingerprint)}")
        scene.world.keystore.remove(ring, version)
        ring = scene.world.keystore.save(stages.without(ring, version))
    spared = f"; {len(old) - len(doomed)} of them may still log in somewhere" if len(old) > len(doomed) else ""
    message = f"{counted(len(doomed), 'retired key')} deleted, {counted(len(ring.keys), 'key')} kept{spared}"
    return scene.result(
        ring,
        Outcome.PRUNED if doomed else Outcome.UNCHANGED,
        "Pruned",
        message,
        virtual_proxy=observed.virtual_proxy,
        extra={"deleted": [version.fingerprint for version in doomed], "kept": len(ring.keys)},
    )
