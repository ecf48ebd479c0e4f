"""rotate: a new key in place of the current one, or the end of a rotation that an earlier run left open."""

from dataclasses import dataclass, replace
from datetime import datetime

from rotator import intents, steps, undoing, verification
from rotator.errors import (
    ConfigError,
    Drift,
    KeyStoreError,
    NotDelivered,
    Refused,
    RestoredKeyring,
    RotatorError,
    ServerError,
    TryLater,
    UsageError,
    VerificationFailed,
    WindowClosed,
)
from rotator.model import (
    Check,
    Consumers,
    Cut,
    Fingerprint,
    IntentKind,
    Json,
    Outcome,
    ProxyService,
    ProxySpec,
    Result,
    Ring,
    Stage,
    VirtualProxy,
    short,
)
from rotator.planning import stages
from rotator.planning.drift import check_manageable, problem
from rotator.planning.due import WINDOW_MARGIN, Due, DueReason, due, next_retry
from rotator.planning.entity import check_complete
from rotator.planning.recovery import Evidence, Finding, Found, Step, assess
from rotator.planning.rotation import as_served, reusable_pending
from rotator.planning.windows import closes, next_opening
from rotator.scene import Scene
from rotator.setting import patiently


@dataclass(frozen=True, slots=True)
class Options:
    """How `rotate` was asked: `now` whatever the age; `dry_run` looks only; `prepare` stops after the step create."""

    now: bool = False
    dry_run: bool = False
    prepare: bool = False
    ignore_window: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """What a run found: the ring, the virtual proxy and the proxies it is linked to."""

    ring: Ring
    virtual_proxy: VirtualProxy
    proxies: tuple[ProxyService, ...]


def rotate(scene: Scene, options: Options) -> Result:
    """Rotate one virtual proxy, if that is due or asked for.

    Finishes first what an earlier run left: an open intent, a hand-over. Raises RotatorError; the key that was current
    then still logs in, unless the error is a PersonNeeded. A failure stays due, and is put off for unattended runs.
    """
    try:
        return _rotated(scene, options)
    except (TryLater, ConfigError, UsageError, NotDelivered, RestoredKeyring):
        raise
    except RotatorError as error:
        if not options.dry_run:
            _put_off(scene, error)
        raise


def _put_off(scene: Scene, error: RotatorError) -> None:
    """Note in the keyring when the next unattended run may begin, and say so."""
    if scene.spec.consumers is Consumers.MANUAL:
        return
    try:
        ring = scene.world.keystore.ring()
        if ring.at(Stage.CURRENT) is None:
            return
        retry = next_retry(ring, scene.world.clock.now())
        scene.world.keystore.save(stages.put_off(ring, retry))
    except KeyStoreError as failure:
        scene.world.tell(f"when to try again could not be noted: {failure.message}")
        return
    at_once = ring.intent is not None or ring.delivery is not None
    when = "by the next unattended run" if at_once else f"unattended not before {retry.at:%Y-%m-%d %H:%M} UTC"
    error.hint = f"{error.hint}; it is tried again {when}" if error.hint else f"it is tried again {when}"


def _rotated(scene: Scene, options: Options) -> Result:
    ring = scene.world.keystore.ring()
    if ring.delivery is not None and not options.dry_run:
        scene.world.tell("delivering a key that an earlier run could not hand over")
        ring = steps.deliver(scene, ring)
        if not options.now and ring.intent is None:
            return scene.result(ring, Outcome.DELIVERED, DueReason.UNDELIVERED, "the key was handed over")
    if ring.intent is None:
        _check_time(scene, options)
    observed = look(scene, ring)
    step = first_step(scene, observed)
    if step is not Step.CREATE and not options.dry_run:
        scene.world.tell("finishing the rotation that an earlier run began")
        return conclude(scene, observed, step, Outcome.ROTATED, resumed=True)
    verdict = due(scene.spec, as_served(ring, observed.virtual_proxy), scene.world.clock.now())
    if not options.now and not verdict.due:
        result = scene.result(ring, Outcome.UNCHANGED, verdict.reason, verdict.message)
        return replace(result, proxy_id=observed.virtual_proxy.id)
    checks = _current_logs_in(scene, observed) if step is Step.CREATE else ()
    if options.dry_run:
        return _dry_run(scene, observed, step, checks)
    return _begin(scene, observed, verdict, options)


def _check_time(scene: Scene, options: Options) -> None:
    """Refuse a start that the configured windows do not allow. Raises ConfigError, WindowClosed."""
    spec = scene.spec
    if not options.now and spec.rotation.windows == () and spec.consumers is not Consumers.MANUAL:
        raise no_window(spec)
    if options.now and not (options.ignore_window or options.dry_run or options.prepare):
        check_window(spec, scene.world.clock.now())


def look(scene: Scene, ring: Ring) -> Observed:
    """What is there, without changing anything. Raises Drift, Refused, ServerError."""
    with scene.world.journal.step("look"):
        return _looked(scene, ring)


def _looked(scene: Scene, ring: Ring) -> Observed:
    name, prefix, repository = scene.spec.name, scene.spec.prefix, scene.world.repository
    virtual_proxy = repository.find(prefix)
    if virtual_proxy is None:
        if ring.at(Stage.CURRENT) is not None:
            raise Drift(
                f"{name}: there is no virtual proxy with the prefix {prefix!r} any more; the keyring has its keys",
                hint=f"create it again with the key that its consumers have: rotator create-proxy {name}",
            )
        raise Refused(
            f"{name}: there is no virtual proxy with the prefix {prefix!r} yet",
            hint=f"create it: rotator create-proxy {name}",
        )
    check_manageable(name, virtual_proxy)
    check_complete(name, scene.auth, ring, virtual_proxy)
    proxies = linked(repository.proxies(), virtual_proxy)
    if not proxies:
        raise Refused(
            f"{name}: the virtual proxy {prefix!r} is linked to no proxy, so nobody can log in through it",
            hint=f"link it: rotator create-proxy {name}; or in the QMC, where it serves a key that is not rotator's",
        )
    return Observed(ring, virtual_proxy, proxies)


def found(scene: Scene, ring: Ring, virtual_proxy: VirtualProxy) -> Found:
    """How the virtual proxy's key stands, from the server, the keyring and the journal. Raises KeyStoreUnavailable."""
    shown, intent, current = virtual_proxy.fingerprint, ring.intent, ring.at(Stage.CURRENT)
    asked: set[Fingerprint | None] = {shown, current.fingerprint if current else None}
    asked |= {intent.before, intent.after} if intent else set()
    versions = [version for version in map(ring.known, asked) if version is not None]
    held = frozenset(version.fingerprint for version in versions if intents.held(scene, version))
    return assess(Evidence(ring, shown, held, scene.world.keystore.memory()))


def first_step(scene: Scene, observed: Observed) -> Step:
    """Where a run goes on: at the beginning, or in the middle of a change under way. Raises Drift, Refused."""
    standing = found(scene, observed.ring, observed.virtual_proxy)
    if standing.step is None or standing.finding not in (Finding.SETTLED, Finding.UNFINISHED):
        raise problem(scene.spec.name, observed.ring, observed.virtual_proxy, standing)
    return standing.step


def no_window(spec: ProxySpec) -> ConfigError:
    """The error for an unattended run of a virtual proxy that has no maintenance window."""
    return ConfigError(
        f"proxy.{spec.name}.rotation: no `window` is set, and a rotation ends the users' sessions",
        hint='say when that may happen, e.g. window = ["SUN 02:00-05:00 Europe/Stockholm"], or ["any"]; '
        f"or rotate by hand: rotator rotate {spec.name} --now",
    )


def check_window(spec: ProxySpec, now: datetime) -> None:
    """Raise WindowClosed unless a window is open with enough left of it. Without any window people choose the time."""
    windows = spec.rotation.windows
    if windows == ():
        return
    end = closes(windows, now)
    if end is not None and end - now >= WINDOW_MARGIN * spec.rotation.settle_timeout:
        return
    opening = next_opening(windows, now)
    when = f"; the next one opens at {opening:%Y-%m-%d %H:%M} UTC" if opening else ""
    what = "no maintenance window is open" if end is None else "too little of the maintenance window is left"
    raise WindowClosed(
        f"{spec.name}: {what}{when}", hint=f"to rotate all the same: rotator rotate {spec.name} --now --ignore-window"
    )


def begin(scene: Scene, observed: Observed, kind: IntentKind, outcome: Outcome) -> Result:
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
        if error.unchanged and pending != prepared:
            intents.discard(scene, pending)
        raise


def conclude(scene: Scene, observed: Observed, step: Step, outcome: Outcome, *, resumed: bool = False) -> Result:
    """From an open intent to its end: set where that is still to do, test, finish, or undo. Raises RotatorError.

    `resumed`: an earlier run opened the intent.
    """
    ring, virtual_proxy, proxies = observed.ring, observed.virtual_proxy, observed.proxies
    scene.check_way()
    change = intents.change_of(scene, ring)
    after = short(change.intent.after)
    if step is Step.UNDO:
        cause = (
            "the new key failed its test login in an earlier run" if change.intent.undoing else "the new key is lost"
        )
        raise undoing.undo(scene, ring, change, virtual_proxy, proxies, (), f"{cause}: {after}")
    if step is Step.SET:
        ring, virtual_proxy = steps.set_certificate(scene, ring, virtual_proxy, resumed=resumed)
        proxies = _linked_now(scene, virtual_proxy, proxies)
    tested = steps.test(scene, change, virtual_proxy, proxies)
    if not verification.all_passed(tested):
        told = verification.worst_of(tested) or "it is linked to no proxy any more"
        if change.intent.kind is IntentKind.FIRST_KEY:
            raise VerificationFailed(
                f"{scene.spec.name}: the first key does not log in everywhere: {told}",
                hint=f"look at the proxies named (rotator doctor), then again: rotator create-proxy {scene.spec.name}",
            ).with_checks(tested)
        cause = f"the new key {after} failed its test login: {told}"
        raise undoing.undo(scene, ring, change, virtual_proxy, proxies, tested, cause)
    try:
        ring, refused = steps.finish(scene, ring, virtual_proxy, proxies)
    except steps.NotPromoted as refusal:
        cause = f"the new key {after} logs in, but the keyring cannot note that: {refusal}"
        raise undoing.undo(scene, ring, change, virtual_proxy, proxies, (), cause) from None
    except NotDelivered as error:
        raise error.with_checks((*tested, *error.checks)) from None
    current = ring.at(Stage.CURRENT)
    assert current is not None  # noqa: S101 - finish promoted it
    return replace(
        scene.result(ring, outcome, "Promoted", f"the key {short(current.fingerprint)} is current and proven"),
        proxy_id=virtual_proxy.id,
        checks=(*tested, *refused),
    )


def _linked_now(
    scene: Scene, virtual_proxy: VirtualProxy, before: tuple[ProxyService, ...]
) -> tuple[ProxyService, ...]:
    """The proxies it is linked to after the change: somebody may have linked it elsewhere. Those `before` if none tells."""
    try:
        return linked(patiently(scene, scene.world.repository.proxies), virtual_proxy)
    except ServerError as error:
        scene.world.tell(f"the proxies cannot be asked for anew: {error.message}")
        return before


def linked(proxies: tuple[ProxyService, ...], virtual_proxy: VirtualProxy) -> tuple[ProxyService, ...]:
    """Those of the proxies that the virtual proxy is linked to."""
    return tuple(proxy for proxy in proxies if virtual_proxy.id in proxy.virtual_proxies)


def cuts(scene: Scene, proxies: tuple[ProxyService, ...]) -> tuple[Cut, ...]:
    """What a change interrupts: the sessions on every proxy that will restart."""
    return tuple(Cut(proxy.host, scene.world.sessions.count(proxy)) for proxy in proxies)


def ask(scene: Scene, proxies: tuple[ProxyService, ...]) -> None:
    """Raise TryLater where the person at the terminal does not want the change, Refused where it must not be made."""
    scene.check_way()
    if not proxies:
        return
    counted = cuts(scene, proxies)
    if not scene.world.consent(counted):
        raise TryLater(f"{scene.spec.name}: not confirmed; nothing was changed")
    known = [cut.sessions for cut in counted if cut.sessions is not None]
    if known:
        scene.world.journal.cut(sum(known))


def _begin(scene: Scene, observed: Observed, verdict: Due, options: Options) -> Result:
    if options.prepare:
        ring, pending = steps.create(scene, observed.ring)
        message = f"the key {short(pending.fingerprint)} is stored as pending; the virtual proxy is unchanged"
        return replace(
            scene.result(ring, Outcome.PREPARED, verdict.reason, message),
            proxy_id=observed.virtual_proxy.id,
            key=pending,
        )
    ask(scene, observed.proxies)
    return begin(scene, observed, IntentKind.ROTATE, Outcome.ROTATED)


def _current_logs_in(scene: Scene, observed: Observed) -> tuple[Check, ...]:
    """Nothing is changed on proxies that do not work to begin with: there would be no telling what the change did."""
    current = observed.ring.at(Stage.CURRENT)
    assert current is not None  # noqa: S101 - first_step saw it
    scene.world.tell(f"testing a login with the current key {short(current.fingerprint)}")
    key = scene.world.keystore.key(current)
    checks = scene.tests.accepted(verification.CURRENT, key, observed.virtual_proxy, observed.proxies)
    if verification.all_passed(checks):
        return checks
    raise VerificationFailed(
        f"{scene.spec.name}: the current key does not log in everywhere, so nothing was changed: "
        f"{verification.worst_of(checks)}",
        hint=f"look closer with rotator doctor; a proxy that cannot be reached from here is marked "
        f'in [site.{scene.spec.site}.probe] with "HOST" = {{ skip = true }}',
    ).with_checks(checks)


def _dry_run(scene: Scene, observed: Observed, step: Step, checks: tuple[Check, ...]) -> Result:
    """Everything that can be seen without writing; the key is made in memory and forgotten."""
    if step is Step.CREATE:
        scene.world.generate(scene.spec.rotation.key_bits)
    ring, proxies = observed.ring, observed.proxies
    sessions: list[Json] = [{"host": cut.host, "sessions": cut.sessions} for cut in cuts(scene, proxies)]
    message = f"would go on with the step {step}; {len(proxies)} proxies would restart"
    return replace(
        scene.result(ring, Outcome.PLANNED, "DryRun", message),
        proxy_id=observed.virtual_proxy.id,
        checks=checks,
        extra={"step": step.value, "cuts": sessions},
    )
