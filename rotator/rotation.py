"""rotate: a new key in place of the current one, or the end of a rotation that an earlier run left open."""

from dataclasses import dataclass, replace
from typing import Final

from rotator import certificates, intents, looking, replacement, steps, verification
from rotator.errors import (
    ConfigError,
    KeyStoreError,
    NotDelivered,
    RestoredKeyring,
    RotatorError,
    ServerError,
    TryLater,
    UsageError,
    VerificationFailed,
)
from rotator.model import (
    AnyTime,
    Check,
    Consumers,
    Cut,
    Delivery,
    IntentKind,
    Json,
    KeyVersion,
    Outcome,
    Result,
    Ring,
    Stage,
    counted,
    short,
)
from rotator.planning import stages, windows
from rotator.planning.due import Due, DueReason, due, may_begin, next_retry, tried_again
from rotator.planning.recovery import Step
from rotator.planning.rotation import as_served, reusable_pending
from rotator.scene import Scene
from rotator.setting import NO_ANSWER


@dataclass(frozen=True, slots=True)
class Options:
    """How `rotate` was asked: `now` whatever the age; `dry_run` looks only; `prepare` stops after the step create.

    `ignore_window`: a window is open now, whatever the configuration says.
    """

    now: bool = False
    dry_run: bool = False
    prepare: bool = False
    ignore_window: bool = False


def rotate(scene: Scene, options: Options) -> Result:
    """Rotate one virtual proxy, if that is due or asked for.

    Finishes first what an earlier run left: an open intent, a hand-over. Raises RotatorError; the key that was current
    then still logs in, unless the error is a PersonNeeded. A failure stays due, and is put off for unattended runs; a
    look that fails where nothing could begin is no failure of a rotation.
    """
    attempt = _Attempt(options.now)
    try:
        return _rotated(_at_any_time(scene) if options.ignore_window else scene, options, attempt)
    except (TryLater, ConfigError, UsageError, NotDelivered, RestoredKeyring):
        raise
    except RotatorError as error:
        if attempt.counts and not options.dry_run:
            _put_off(scene, error)
        raise


def _at_any_time(scene: Scene) -> Scene:
    return replace(scene, spec=replace(scene.spec, rotation=replace(scene.spec.rotation, windows=AnyTime())))


@dataclass(slots=True)
class _Attempt:
    """One run. `counts`: a failure of it is one of a rotation, that was asked for, could begin, or was begun."""

    counts: bool


def _put_off(scene: Scene, error: RotatorError) -> None:
    """Note in the keyring before when no unattended run may begin, and say when one will."""
    spec, now = scene.spec, scene.world.clock.now()
    if spec.consumers is Consumers.MANUAL:
        return
    try:
        ring = scene.world.keystore.ring()
        if ring.at(Stage.CURRENT) is None:
            return
        retry = next_retry(spec, ring, now)
        scene.world.keystore.save(stages.put_off(ring, retry))
    except KeyStoreError as failure:
        scene.world.tell(f"when to try again could not be noted: {failure.message}")
        return
    again = tried_again(spec, ring, retry, now)
    error.hint = f"{error.hint}; {again}" if error.hint else again


def _rotated(scene: Scene, options: Options, attempt: _Attempt) -> Result:
    ring = scene.world.keystore.ring()
    # An unfinished change comes first: it may keep users out, and where it ends well another key is handed over.
    if ring.intent is None and ring.delivery is not None and not options.dry_run:
        _check_served(scene, ring, ring.delivery)
        ring, handed_over = steps.deliver_late(scene, ring)
        if handed_over and not options.now:
            return scene.result(ring, Outcome.DELIVERED, DueReason.UNDELIVERED, "the key was handed over")
    if ring.intent is None and not ring.untested:
        _check_time(scene, options)
    attempt.counts = attempt.counts or may_begin(scene.spec, ring, scene.world.clock.now())
    try:
        with scene.world.journal.step(looking.LOOK):
            seen = _looked(scene, ring, options)
    except NO_ANSWER as error:
        if ring.intent is not None:
            left = f"the change to {short(ring.intent.after)} that an earlier run began is not finished: the next run goes on"
            error.hint = f"{error.hint}; {left}" if error.hint else left
        raise
    attempt.counts = True
    observed, verdict = seen.observed, seen.verdict
    if seen.step is not Step.CREATE and not options.dry_run:
        scene.world.tell("finishing the rotation that an earlier run began")
        back = ring.intent is not None and ring.intent.kind is IntentKind.ROLLBACK
        return replacement.conclude(
            scene, observed, seen.step, Outcome.ROLLED_BACK if back else Outcome.ROTATED, resumed=True
        )
    ending = ring.untested and ring.intent is None
    if ending and not options.now:
        return _ending_planned(scene, observed) if options.dry_run else _ended(scene, observed)
    if ending:
        seen = _anew(scene, observed, options)
    if not options.now and not verdict.due:
        shown = observed.virtual_proxy
        return scene.result(ring, Outcome.UNCHANGED, verdict.reason, verdict.message, virtual_proxy=shown)
    if options.dry_run:
        return _dry_run(scene, seen, prepare=options.prepare, ending=ending)
    return _begin(scene, seen, options)


def _check_served(scene: Scene, ring: Ring, delivery: Delivery) -> None:
    """Raise what a run would raise where the server shows another key than the one that is to be handed over late.

    Consumers that got it would be refused. Without an answer it is handed over all the same: it logged in when it
    became current, and who waits for it must not wait for the repository too.
    """
    if scene.spec.consumers is not Consumers.HOOK:
        return
    repository = scene.world.repository
    try:
        with scene.world.journal.step(looking.LOOK):
            there = repository.find(scene.spec.prefix)
            if there is None:
                looking.check_sees(scene.spec.name, repository.proxies())
                looking.check_gone(scene, ring)
    except ServerError as error:
        scene.world.tell(f"which key the server shows cannot be asked: {error.message}")
        return
    if there is None or there.fingerprint != delivery.fingerprint:
        looking.first_step(scene, looking.look(scene, ring))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the step look came to. `checks` and `cuts` are empty where no rotation begins here."""

    observed: looking.Observed
    step: Step
    verdict: Due
    checks: tuple[Check, ...] = ()
    cuts: tuple[Cut, ...] = ()


def _looked(scene: Scene, ring: Ring, options: Options) -> _Seen:
    """The step look: what is there, whether that is due, that the current key logs in, and whose sessions would end."""
    observed = looking.observe(scene, ring)
    step = looking.first_step(scene, observed)
    verdict = due(scene.spec, as_served(ring, observed.virtual_proxy), scene.world.clock.now())
    if step is not Step.CREATE or ring.untested or not (options.now or verdict.due):
        return _Seen(observed, step, verdict)
    certificates.check_clocks(scene)
    checks = _let_in(scene, observed)
    if options.dry_run or options.prepare:
        return _Seen(observed, step, verdict, checks)
    return _Seen(observed, step, verdict, checks, looking.cuts_of_change(scene, observed.proxies))


_WOULD_END: Final = "would test that the previous key is refused, which an earlier run could not"


def _ending_planned(scene: Scene, observed: looking.Observed) -> Result:
    none_cut: dict[str, Json] = {"step": "finish", "cuts": []}
    shown = observed.virtual_proxy
    return scene.result(observed.ring, Outcome.PLANNED, "DryRun", _WOULD_END, virtual_proxy=shown, extra=none_cut)


def _ended(scene: Scene, observed: looking.Observed) -> Result:
    """The end of a rotation that promoted its key and was cut short then, and no more: none begins here."""
    ring, checks = _tested(scene, observed)
    if not verification.all_passed(checks):
        raise VerificationFailed(
            f"{scene.spec.name}: the certificate of the current key has ended, and it is refused: "
            f"{verification.worst_of(checks)}",
            hint=certificates.once_ended(scene, observed.virtual_proxy.not_after),
        ).with_checks(checks)
    message = f"the key {short(intents.current(ring).fingerprint)}, which an earlier run put in place, is proven"
    return scene.result(ring, Outcome.RECOVERED, "Ended", message, checks, virtual_proxy=observed.virtual_proxy)


def _anew(scene: Scene, observed: looking.Observed, options: Options) -> _Seen:
    """That end first, and then the look that the rotation which was asked for begins with. Raises WindowClosed."""
    ring = observed.ring
    if not options.dry_run:
        ring, _ = _tested(scene, observed)
    _check_time(scene, options)
    with scene.world.journal.step(looking.LOOK):
        # A keyring that did not note the end stops what follows, where that writes to it.
        return _looked(scene, stages.tested(ring), options)


def _tested(scene: Scene, observed: looking.Observed) -> tuple[Ring, tuple[Check, ...]]:
    """The current key must log in, unless its certificate has ended, and the previous one, which nobody has tested yet, be refused."""
    scene.world.tell("ending the rotation that an earlier run began")
    ring = observed.ring
    with scene.world.journal.step("finish", intents.current(ring).fingerprint):
        proven = _let_in(scene, observed)
        ring, refused = steps.previous_refused(scene, ring, observed.virtual_proxy, observed.proxies)
    return ring, (*proven, *refused)


def _check_time(scene: Scene, options: Options) -> None:
    """Refuse a start that the configured windows do not allow. Raises ConfigError, WindowClosed."""
    spec = scene.spec
    if not options.now and spec.rotation.windows == () and spec.consumers is not Consumers.MANUAL:
        raise windows.no_window(spec)
    if options.now and not (options.dry_run or options.prepare):
        windows.check_window(spec, scene.world.clock.now())


def _begin(scene: Scene, seen: _Seen, options: Options) -> Result:
    observed = seen.observed
    if options.prepare:
        ring, pending = steps.create(scene, observed.ring)
        message = f"the key {short(pending.fingerprint)} is stored as pending; the virtual proxy is unchanged"
        shown = observed.virtual_proxy
        return scene.result(ring, Outcome.PREPARED, seen.verdict.reason, message, virtual_proxy=shown, key=pending)
    looking.ask(scene, seen.cuts)
    return replacement.begin(scene, observed, IntentKind.ROTATE, Outcome.ROTATED)


def _current_logs_in(scene: Scene, observed: looking.Observed) -> tuple[Check, ...]:
    """Nothing is changed on proxies that do not work to begin with: there would be no telling what the change did."""
    current = intents.current(observed.ring)
    scene.world.tell(f"testing a login with the current key {short(current.fingerprint)}")
    return scene.tests.proven(
        scene.world.keystore.key(current),
        observed.virtual_proxy,
        observed.proxies,
        said="the current key does not log in everywhere, so nothing was changed",
        hint=f"look closer with rotator doctor; a proxy that cannot be reached from here is marked "
        f'in [site.{scene.spec.site}.probe] with "HOST" = {{ skip = true }}',
    )


def _let_in(scene: Scene, observed: looking.Observed) -> tuple[Check, ...]:
    """The same, unless the certificate has ended and the key is refused: then only a new one lets anybody in again."""
    try:
        return _current_logs_in(scene, observed)
    except VerificationFailed as error:
        if not (verification.decided(error.checks) and certificates.ended(scene, observed.virtual_proxy.not_after)):
            raise
        scene.world.tell(f"its certificate has ended, and it is refused: {verification.worst_of(error.checks)}")
        return error.checks


def _dry_run(scene: Scene, seen: _Seen, *, prepare: bool, ending: bool) -> Result:
    """Everything that can be seen without writing; the key is made in memory and forgotten.

    `ending`: the end of an earlier run comes first.
    """
    observed, step = seen.observed, seen.step
    if step is Step.CREATE:
        scene.world.generate(scene.spec.rotation.key_bits)
    ring = observed.ring
    cuts = () if prepare and step is Step.CREATE else looking.cuts(scene, observed.proxies)
    sessions: list[Json] = [{"host": cut.host, "sessions": cut.sessions} for cut in cuts]
    message = _would(step, reusable_pending(ring, scene.spec), cuts, prepare=prepare)
    if ending:
        message = f"{_WOULD_END}; then {message}"
    return scene.result(
        ring,
        Outcome.PLANNED,
        "DryRun",
        message,
        seen.checks,
        virtual_proxy=observed.virtual_proxy,
        extra={"step": step.value, "cuts": sessions},
    )


def _would(step: Step, prepared: KeyVersion | None, cuts: tuple[Cut, ...], *, prepare: bool) -> str:
    """What a run that goes on with `step` would do, and whom it would interrupt."""
    if step is Step.CREATE and prepare:
        done = (
            f"keep the prepared key {short(prepared.fingerprint)}" if prepared else "make a key and store it as pending"
        )
        return f"would {done}; the virtual proxy stays as it is, and no proxy restarts"
    restarts = ", ".join(f"{cut.host} restarts ({_ending(cut.sessions)})" for cut in cuts) or "no proxy restarts"
    match step:
        case Step.CREATE if prepared:
            return f"would put the prepared key {short(prepared.fingerprint)} in place: {restarts}"
        case Step.CREATE:
            return f"would make a key and put it in place: {restarts}"
        case Step.SET:
            return f"would put the key of the unfinished rotation in place: {restarts}"
        case Step.TEST:
            return f"would test the key of the unfinished rotation; only where it fails, the old one is put back: {restarts}"
        case Step.UNDO:
            return f"would put the certificate from before the unfinished rotation back: {restarts}"


def _ending(sessions: int | None) -> str:
    if sessions is None:
        return "its number of sessions is not known"
    return f"{counted(sessions, 'session')} {'ends' if sessions == 1 else 'end'}"
