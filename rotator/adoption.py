"""adopt and release: a virtual proxy's key taken into rotator's care, and given up again."""

from collections.abc import Callable
from dataclasses import replace

from rotator import certificates, intents, looking, replacement, steps
from rotator.errors import KeyMaterialError, Refused, ServerError, UsageError
from rotator.keys import PrivateKey
from rotator.model import (
    Fingerprint,
    IntentKind,
    KeyVersion,
    Outcome,
    Result,
    Ring,
    Stage,
    VirtualProxy,
    counted,
    short,
)
from rotator.planning import stages
from rotator.planning.drift import drift
from rotator.planning.recovery import Finding
from rotator.scene import Scene


def adopt(scene: Scene, key: PrivateKey) -> Result:
    """Take in the private key that a virtual proxy already serves, after a test login. Nothing goes to the server.

    Raises KeyMaterialError where the key is not the one the server's certificate carries, VerificationFailed where it
    does not log in.
    """
    name = scene.spec.name
    ring = scene.world.keystore.ring()
    observed = looking.look(scene, ring)
    shown = observed.virtual_proxy.fingerprint
    _check_settled(scene, ring, observed.virtual_proxy)
    if shown is None:
        raise Refused(
            f"{name}: the virtual proxy {scene.spec.prefix!r} holds no certificate that can be read, so no key fits it",
            hint=f"if nobody logs in with what it holds: rotator adopt {name} --replace-key"
            if observed.virtual_proxy.certificate.strip()
            else f"give it its first key: rotator create-proxy {name}",
        )
    if key.fingerprint != shown:
        raise KeyMaterialError(
            f"{name}: the key {short(key.fingerprint)} is not the one that the virtual proxy serves, {short(shown)}",
            hint="find the private key of the certificate in the QMC; if nobody has it any more: "
            f"rotator adopt {name} --replace-key",
        )
    scene.world.tell(f"testing a login with {short(key.fingerprint)}")
    with scene.world.journal.step("test", shown):
        checks = scene.tests.proven(
            key,
            observed.virtual_proxy,
            observed.proxies,
            said="the key fits the certificate, but does not log in everywhere",
            hint=certificates.once_over(scene, observed.virtual_proxy.not_after)
            or "compare user_id_claim, user_directory_claim, audience and test_claims with the virtual proxy: "
            f"rotator create-proxy {name} --plan",
        )
    current = ring.at(Stage.CURRENT)
    if current is not None and current.fingerprint == shown and intents.held(scene, current):
        if ring.intent is not None:
            scene.world.tell(f"giving up the change to {short(ring.intent.after)}, which was overtaken")
            ring = scene.world.keystore.save(stages.undone(ring, scene.world.clock.now()))
        ring = looking.remember(scene, ring, observed.virtual_proxy)
        return scene.result(ring, Outcome.UNCHANGED, "AlreadyCurrent", "this key is current already", checks)
    keystore, text = scene.world.keystore, observed.virtual_proxy.certificate
    kept = keystore.add_certificate(text)
    known = ring.known(shown)
    if known is not None and intents.held(scene, known):
        version = steps.served(known, observed.virtual_proxy, kept, scene.world.clock.now())
    else:
        version = steps.described(key, text, Stage.CURRENT, scene)
        keystore.add_key(version, key)
    ring = keystore.save(stages.with_current(ring, version, scene.world.clock.now()))
    ring = looking.remember(scene, ring, observed.virtual_proxy)
    return scene.result(ring, Outcome.ADOPTED, "Adopted", f"the key {short(shown)} is current", checks)


def replace_key(scene: Scene, confirmed: str, command: str = "adopt {} --replace-key") -> Result:
    """Put a fresh key in place of one whose private half is lost.

    `confirmed` is the server's fingerprint, as a person typed it to `command`.
    Nobody can test the lost key, so an undo can only see that its certificate is back.
    """
    name = scene.spec.name
    ring = scene.world.keystore.ring()
    with scene.world.journal.step(looking.LOOK):
        observed = looking.observe(scene, ring)
        _check_settled(scene, ring, observed.virtual_proxy)
        check_confirmed(name, observed.virtual_proxy.fingerprint, confirmed, command.format(name))
        cuts = looking.cuts_of_change(scene, observed.proxies)
    looking.ask(scene, cuts)
    ring = looking.remember(scene, ring, observed.virtual_proxy)
    return replacement.begin(scene, replace(observed, ring=ring), IntentKind.REPLACE_KEY, Outcome.ADOPTED)


def shown_fingerprint(scene: Scene) -> str | None:
    """The fingerprint to be confirmed before `replace_key`; None where there is no readable certificate."""
    return looking.look(scene, scene.world.keystore.ring()).virtual_proxy.fingerprint


def check_confirmed(name: str, shown: str | None, confirmed: str, command: str) -> None:
    """Raise UsageError unless `confirmed` is the server's fingerprint: its first 12 hex digits or more."""
    expected = shown or "none"
    given = confirmed.strip().lower()
    if given == expected or (shown is not None and len(given) >= len(short(expected)) and expected.startswith(given)):
        return
    raise UsageError(
        f"{name}: the fingerprint was not confirmed: the virtual proxy holds {short(expected)}",
        hint=f"whoever logs in with that key is locked out by its replacement; if nobody does: "
        f"rotator {command} --fingerprint {short(expected)}",
    )


def release(scene: Scene, take_along: Callable[[PrivateKey], None] | None) -> Result:
    """Stop managing: the virtual proxy stays as it is, the keys are deleted here, all of them.

    `take_along` is given the current private key first, and raises where it cannot be kept. Raises Refused, Drift and
    ServerError where the deletion could lock users out, or where that cannot be told.
    """
    name, keystore = scene.spec.name, scene.world.keystore
    ring = keystore.ring()
    shown, left = _let_go(scene, ring, taken=take_along is not None) if ring.keys else (None, "")
    current = ring.at(Stage.CURRENT)
    if take_along is not None:
        if current is None:
            raise Refused(f"{name}: the keyring has no current key to take along", hint=f"see rotator keys list {name}")
        take_along(keystore.key(current))
    elif current is not None and scene.way == scene.spec.prefix:
        raise Refused(
            f'{name}: under auth = "jwt" QRS is reached through this very virtual proxy, by tokens that its key signs',
            hint=f"take the key along, as nothing of [site.{scene.spec.site}] is reached without it: rotator release {name} "
            '--private-to FILE; or release it with a configuration whose auth is "certificate"',
        )
    elif current is not None and _would_be_lost(scene, ring, current, shown):
        raise Refused(
            f"{name}: the current key was not handed over yet, and would be lost",
            hint=f"deliver it first: rotator rotate {name}; or take it along: rotator release {name} --private-to FILE",
        )
    if not ring.keys:
        return scene.result(ring, Outcome.UNCHANGED, "NoKeys", "the keyring has no key of it")
    keystore.clear()
    message = f"{counted(len(ring.keys), 'key')} deleted here; {left}"
    return scene.result(ring, Outcome.RELEASED, "Released", message)


def _would_be_lost(scene: Scene, ring: Ring, current: KeyVersion, shown: Fingerprint | None) -> bool:
    """Whether consumers still wait for the key that logs in, and it is here to be given to them."""
    return ring.delivery is not None and current.fingerprint == shown and intents.held(scene, current)


def _let_go(scene: Scene, ring: Ring, *, taken: bool) -> tuple[Fingerprint | None, str]:
    """The key that the server shows, None where there is none or no answer, and what is told of the virtual proxy.

    Raises Refused while a change is under way, Drift where the server shows a key of ours that is not the current one:
    it would be deleted unseen. Without an answer any key may be the one that logs in: ServerError, unless there is no
    change under way and the current key is `taken` along.
    """
    name = scene.spec.name
    try:
        with scene.world.journal.step(looking.LOOK):
            there = scene.world.repository.find(scene.spec.prefix)
            if there is None:
                looking.check_sees(name, scene.world.repository.proxies())
                there = looking.by_id(scene, ring)
    except ServerError as error:
        current = ring.at(Stage.CURRENT)
        keepable = ring.intent is None and current is not None and intents.held(scene, current)
        if taken and keepable:
            return None, f"the server could not be asked: {error.message}"
        error.hint = _unasked(name, keepable=keepable)
        raise
    if there is None:
        return None, f"there is no virtual proxy with the prefix {scene.spec.prefix!r}"
    _check_settled(scene, ring, there)
    shown = ring.known(there.fingerprint)
    if shown is not None and shown.stage is not Stage.CURRENT and intents.held(scene, shown):
        raise drift(name, ring, there)
    return there.fingerprint, "the virtual proxy is as it was"


def _unasked(name: str, *, keepable: bool) -> str:
    """What to do where the server cannot say which key logs in: one that is only away for a while, and one for good."""
    gone = (
        f"rotator release {name} --private-to FILE keeps the current key"
        if keepable
        else f"take [proxy.{name}] out of the configuration, and its keys stay in the keyring unused"
    )
    return f"nothing was deleted; release it once the server answers (rotator doctor); if it is gone for good: {gone}"


def _check_settled(scene: Scene, ring: Ring, observed: VirtualProxy) -> None:
    """Raise Refused while a change is under way: taking or giving up a key in its middle would lose its way back.

    Where the server shows neither end of the change, somebody else has overtaken it; where the keys of it are lost,
    nothing can end it. Then it can only be given up.
    """
    if ring.intent is None or intents.pasted_unread(ring.intent, observed):
        return
    if looking.found(scene, ring, observed.fingerprint).finding is not Finding.UNFINISHED:
        return
    hint = f"finish it first: rotator {intents.finishing(ring.intent)} {scene.spec.name}"
    if ring.intent.kind is IntentKind.FIRST_KEY:
        hint += f"; or give it up: delete the virtual proxy in the QMC, then rotator release {scene.spec.name}"
    raise Refused(
        f"{scene.spec.name}: a change of its certificate is not finished; it began "
        f"{ring.intent.started:%Y-%m-%d %H:%M} UTC",
        hint=hint,
    )
