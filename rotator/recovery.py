"""recover, rollback and prune: out of a mess, back to the previous key, and old keys deleted for good."""

from dataclasses import dataclass, replace

from rotator import rotation, steps, verification
from rotator.adoption import replace_key
from rotator.errors import (
    Drift,
    KeyNotFound,
    KeyStoreCorrupt,
    Refused,
    Undone,
    VerificationFailed,
)
from rotator.model import Auth, IntentKind, KeyVersion, Outcome, Result, Ring, Stage, VirtualProxy, short
from rotator.planning import stages
from rotator.planning.pruning import prunable
from rotator.planning.recovery import Finding, Way, assess
from rotator.planning.rotation import Step, drift, first_step, unknown_certificate
from rotator.provisioning import remember
from rotator.rotation import Observed
from rotator.scene import Scene


@dataclass(frozen=True, slots=True)
class LostKey:
    """`--replace-lost-key`: a fresh key in place of the server's, whose fingerprint a person `confirmed`."""

    confirmed: str


def recover(scene: Scene, lost: LostKey | None = None) -> Result:
    """Bring keyring and server back together: finish or undo what a crash left, or say what a person has to decide.

    Nothing is believed before a test login. Raises RotatorError; ServerError where the server cannot be asked.
    """
    if lost is not None:
        return _replaced(scene, lost)
    ring = scene.world.keystore.ring()
    observed = rotation.look(scene, ring)
    virtual_proxy = observed.virtual_proxy
    known = ring.known(virtual_proxy.fingerprint)
    found = assess(ring, virtual_proxy.fingerprint, held=known is not None and _held(scene, known))
    scene.world.tell(f"found: {found.finding}; {found.way}")
    if found.way is Way.CONCLUDE:
        return _concluded(scene, observed)
    if found.way is Way.ALIGN:
        assert known is not None  # noqa: S101 - a key is aligned only where the ring knows it
        return _aligned(scene, observed, known, found.finding)
    if found.way is Way.RESTORE:
        raise drift(scene.spec.name, ring, virtual_proxy)
    if found.way is Way.PERSON:
        raise _person(scene, virtual_proxy, found.finding)
    ring = remember(scene, ring, virtual_proxy)
    if found.finding is Finding.NOTHING:
        message = "neither the server nor the keyring has a key of it"
        return replace(scene.result(ring, Outcome.UNCHANGED, found.finding, message), proxy_id=virtual_proxy.id)
    checks = scene.tests.accepted(
        verification.CURRENT, scene.world.keystore.key(_current(ring)), virtual_proxy, observed.proxies
    )
    if not verification.all_passed(checks):
        raise verification.failed(scene.spec.name, checks)
    message = f"server and keyring agree on the key {short(_current(ring).fingerprint)}, and it logs in"
    return replace(scene.result(ring, Outcome.UNCHANGED, found.finding, message, checks), proxy_id=virtual_proxy.id)


def _concluded(scene: Scene, observed: Observed) -> Result:
    """The change under way, to its end. What it undoes is what was wanted here: no failure."""
    step = first_step(scene.spec.name, observed.ring, observed.virtual_proxy)
    scene.world.tell("finishing the change that an earlier run began")
    try:
        return rotation.conclude(scene, observed, step, Outcome.RECOVERED, resumed=True)
    except Undone as error:
        ring = scene.world.keystore.ring()
        result = scene.result(ring, Outcome.RECOVERED, error.reason, error.message, error.checks)
        return replace(result, proxy_id=observed.virtual_proxy.id)


def _aligned(scene: Scene, observed: Observed, known: KeyVersion, finding: Finding) -> Result:
    """The key that the server shows is ours: it becomes current, once it has logged in everywhere."""
    name, keystore = scene.spec.name, scene.world.keystore
    checks = scene.tests.accepted(verification.CURRENT, keystore.key(known), observed.virtual_proxy, observed.proxies)
    if not verification.all_passed(checks):
        raise VerificationFailed(
            f"{name}: the server shows the {known.stage} key {short(known.fingerprint)}, but it does not log in "
            f"everywhere: {verification.worst_of(checks)}",
            hint=f"nothing was changed; see that the proxies named are up, then again: rotator recover {name}",
        ).with_checks(checks)
    now = scene.world.clock.now()
    kept = keystore.add_certificate(observed.virtual_proxy.certificate)
    version = replace(known, stage=Stage.CURRENT, since=now, certificate=kept)
    ring = remember(scene, keystore.save(stages.with_current(observed.ring, version, now)), observed.virtual_proxy)
    message = f"the server shows the {known.stage} key {short(known.fingerprint)}: it logs in, and is current now"
    return replace(scene.result(ring, Outcome.RECOVERED, finding, message, checks), proxy_id=observed.virtual_proxy.id)


def _person(scene: Scene, virtual_proxy: VirtualProxy, finding: Finding) -> Drift:
    name = scene.spec.name
    error = unknown_certificate(name, virtual_proxy)
    if finding is Finding.LOST_KEY:
        error.message = (
            f"{name}: the private key of {short(virtual_proxy.fingerprint or '')}, which the server shows, is not in "
            "the keyring any more"
        )
    error.hint = (
        f"restore the keyring from a newer backup, or take the key in where somebody has it: rotator adopt {name} --key "
        f"FILE; if it is lost for good, put a fresh one in its place: rotator recover {name} --replace-lost-key"
    )
    return error


def _replaced(scene: Scene, lost: LostKey) -> Result:
    if scene.auth is not Auth.CERTIFICATE:
        raise Refused(
            f'{scene.spec.name}: --replace-lost-key needs auth = "certificate", which does not depend on any lost key',
            hint=f"use a configuration with the client certificate for [site.{scene.spec.site}]",
        )
    return replace(replace_key(scene, lost.confirmed), outcome=Outcome.RECOVERED, reason="LostKeyReplaced")


def _held(scene: Scene, version: KeyVersion) -> bool:
    """Whether the keyring gives this private key. A keyring that gives no answer is an error, not a no."""
    try:
        scene.world.keystore.key(version)
    except (KeyNotFound, KeyStoreCorrupt):
        return False
    return True


def _current(ring: Ring) -> KeyVersion:
    current = ring.at(Stage.CURRENT)
    assert current is not None  # noqa: S101 - a settled ring has one
    return current


def rollback(scene: Scene) -> Result:
    """The previous key back in place, tested like a new one; the key that was current becomes previous.

    Raises RotatorError; where the old key fails its test the certificate that was there is put back.
    """
    name = scene.spec.name
    ring = scene.world.keystore.ring()
    observed = rotation.look(scene, ring)
    if ring.intent is not None and ring.intent.kind is IntentKind.ROLLBACK:
        step = first_step(name, ring, observed.virtual_proxy)
        return _rolled_back(scene, rotation.conclude(scene, observed, step, Outcome.ROLLED_BACK, resumed=True))
    if ring.intent is not None:
        raise Refused(
            f"{name}: a change of its certificate is not finished, so it is not known what to go back from",
            hint=f"finish or undo it first: rotator recover {name}",
        )
    first_step(name, ring, observed.virtual_proxy)  # which raises where the server does not hold the current key
    previous = ring.at(Stage.PREVIOUS)
    if previous is None:
        raise Refused(
            f"{name}: there is no previous key to go back to",
            hint=f"see which keys there are: rotator keys list {name}",
        )
    scene.world.keystore.key(previous)
    rotation.ask(scene, observed.proxies)
    ring = steps.open_intent(scene, ring, observed.virtual_proxy, IntentKind.ROLLBACK, previous)
    result = rotation.conclude(scene, replace(observed, ring=ring), Step.SET, Outcome.ROLLED_BACK)
    return _rolled_back(scene, result)


def _rolled_back(scene: Scene, result: Result) -> Result:
    retry = scene.world.keystore.ring().retry
    until = f"; unattended runs leave it so until {retry.at:%Y-%m-%d %H:%M} UTC" if retry else ""
    return replace(result, reason="RolledBack", message=result.message + until)


def prune(scene: Scene, keep: int) -> Result:
    """Delete retired keys for good, all but the `keep` newest. The server is asked first; without an answer none goes.

    A key goes before its line in the ring: cut short, the next prune goes on.
    """
    ring = scene.world.keystore.ring()
    observed = rotation.look(scene, ring)
    doomed = prunable(ring, observed.virtual_proxy, keep, scene.world.clock.now())
    for version in doomed:
        scene.world.tell(f"deleting the retired key {short(version.fingerprint)}")
        scene.world.keystore.remove(ring, version)
        ring = scene.world.keystore.save(stages.without(ring, version))
    message = f"{len(doomed)} retired keys deleted, {len(ring.keys)} keys kept"
    result = scene.result(ring, Outcome.PRUNED if doomed else Outcome.UNCHANGED, "Pruned", message)
    return replace(
        result,
        proxy_id=observed.virtual_proxy.id,
        extra={"deleted": [version.fingerprint for version in doomed], "kept": len(ring.keys)},
    )
