"""verify and status: how things are, from the server and the keyring as they are now."""

from dataclasses import replace

from rotator import certificates, looking, verification
from rotator.errors import Drift, ExitStatus, PersonNeeded, RestoredKeyring, VerificationFailed
from rotator.intents import held
from rotator.model import Check, CheckResult, Json, KeyVersion, Outcome, Result, Ring, Stage, VirtualProxy, short, utc
from rotator.planning import stages
from rotator.planning.drift import problem
from rotator.planning.due import due
from rotator.planning.rotation import as_served
from rotator.planning.signing import demanded, signing_key
from rotator.report.keys import key_rows
from rotator.scene import Scene


def verify(scene: Scene) -> Result:
    """Test logins on every linked proxy: the current key is accepted, everything else is refused.

    Everything else is the previous key, a stranger's key, an expired token and no token.
    Raises PersonNeeded where a key or token is taken that must not be, or the current one is refused, and
    VerificationFailed where a proxy gave no verdict.
    """
    ring = scene.world.keystore.ring()
    observed = looking.look(scene, ring)
    signing = _served(scene, observed)
    previous, unknown = ring.at(Stage.PREVIOUS), ""
    if previous is not None and not held(scene, previous):
        previous, unknown = None, "; the previous key is lost, so whether it is refused is not known"
    with scene.world.journal.step("test", signing.fingerprint):
        checks = scene.tests.verify(
            scene.world.keystore.key(signing),
            scene.world.keystore.key(previous) if previous and previous is not signing else None,
            observed.virtual_proxy,
            observed.proxies,
        )
        _judge(scene, ring, observed.virtual_proxy, checks)
    ring = looking.remember(scene, ring, observed.virtual_proxy)
    if ring.untested and ring.intent is None:
        ring = scene.world.keystore.save(stages.tested(ring))
    message = f"the key {short(signing.fingerprint)} logs in, and nothing else does{unknown}{_under_way(scene, ring)}"
    return scene.result(
        ring, Outcome.VERIFIED, "Verified", message, checks, virtual_proxy=observed.virtual_proxy, key=signing
    )


def _judge(scene: Scene, ring: Ring, virtual_proxy: VirtualProxy, checks: tuple[Check, ...]) -> None:
    name = scene.spec.name
    if verification.all_passed(checks):
        return
    failed = [check for check in checks if check.result is CheckResult.FAILED]
    if any(check.name != verification.CURRENT for check in failed):
        raise PersonNeeded(
            f"{name}: a login that must be refused was accepted: {verification.worst_of(failed)}",
            hint="a proxy may still hold an older certificate: restart its Qlik Sense Proxy Service, then verify again",
        ).with_checks(checks)
    if failed:
        raise PersonNeeded(
            f"{name}: the key that the server shows is refused: {verification.worst_of(failed)}{_under_way(scene, ring)}",
            hint=f"finish or undo it: rotator rotate {name}"
            if ring.intent is not None
            else certificates.once_ended(scene, virtual_proxy.not_after)
            or f"rotator doctor looks at clocks and links, rotator create-proxy {name} --plan at the settings",
        ).with_checks(checks)
    raise VerificationFailed(
        f"{name}: not every proxy could be tested: {verification.worst_of(checks)}",
        hint=f"see that the proxies named are up; one that cannot be reached from here is marked in "
        f'[site.{scene.spec.site}.probe] with "HOST" = {{ skip = true }}',
    ).with_checks(checks)


def _served(scene: Scene, observed: looking.Observed) -> KeyVersion:
    """The key that must log in now. Raises Drift, Refused."""
    ring, virtual_proxy = observed.ring, observed.virtual_proxy
    signing = signing_key(ring, virtual_proxy.fingerprint)
    if signing is None or signing.fingerprint != virtual_proxy.fingerprint or not held(scene, signing):
        raise problem(scene.spec.name, ring, virtual_proxy, looking.found(scene, ring, virtual_proxy.fingerprint))
    return signing


def status(scene: Scene) -> Result:
    """Where the virtual proxy stands: its key on the server and in the keyring, its links, and when it is due."""
    ring = scene.world.keystore.ring()
    observed = looking.look(scene, ring)
    virtual_proxy = observed.virtual_proxy
    verdict = due(scene.spec, as_served(ring, virtual_proxy), scene.world.clock.now())
    extra: dict[str, Json] = {
        "prefix": virtual_proxy.prefix,
        "server_fingerprint": virtual_proxy.fingerprint,
        "certificate_not_after": utc(virtual_proxy.not_after),
        "claims": demanded(virtual_proxy),
        "linked": [proxy.host for proxy in observed.proxies],
        "keys": [*key_rows(ring)],
        "due": verdict.due,
        "due_at": utc(verdict.at),
        "unfinished": ring.intent.kind.value if ring.intent else None,
        "undelivered": ring.delivery is not None,
    }
    result = scene.result(
        ring, Outcome.SHOWN, verdict.reason, verdict.message, virtual_proxy=virtual_proxy, extra=extra
    )
    try:
        _served(scene, observed)
        scene.world.keystore.whole()
    except (Drift, RestoredKeyring) as error:
        return replace(
            result, reason=error.reason, message=error.message, hint=error.hint, exit_status=error.exit_status
        )
    return replace(result, exit_status=ExitStatus.DONE)


def _under_way(scene: Scene, ring: Ring) -> str:
    if ring.intent is None:
        return ""
    return f"; a change is under way, which the next rotator rotate {scene.spec.name} finishes or undoes"
