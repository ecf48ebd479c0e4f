"""create-proxy: a virtual proxy brought into being, or repaired, with its links, its first key and a tested login."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from rotator import certificates, intents, looking, replacement, steps
from rotator.errors import (
    BadRequest,
    Conflict,
    Drift,
    Refused,
    RotatorError,
    ServerError,
)
from rotator.model import (
    Check,
    IntentKind,
    Json,
    KeyVersion,
    Outcome,
    ProxyService,
    Result,
    Ring,
    Stage,
    VirtualProxy,
    counted,
    short,
)
from rotator.planning import stages
from rotator.planning.drift import drift, lost_key, unknown_certificate
from rotator.planning.entity import CERTIFICATE_FIELD, baseline_of, check_complete
from rotator.planning.provisioning import FIRST, KEEP, RESTORE, RESUME, Plan, Surroundings, applied, described, plan
from rotator.planning.recovery import Found
from rotator.scene import Scene
from rotator.setting import NO_ANSWER, PUT_ATTEMPTS, patiently


def create_proxy(scene: Scene, *, plan_only: bool = False) -> Result:
    """Bring one virtual proxy into being as the configuration desires it; change nothing where it is so already.

    Raises RotatorError; a run that was cut short is finished by the next.
    """
    ring = scene.world.keystore.ring()
    with scene.world.journal.step(looking.LOOK):
        virtual_proxy = scene.world.repository.find(scene.spec.prefix)
        around = _surroundings(scene)
        looking.check_sees(scene.spec.name, around.proxies)
        if virtual_proxy is None:
            looking.check_gone(scene, ring)
        standing = looking.found(scene, ring, virtual_proxy.fingerprint) if virtual_proxy else None
        planned = plan(scene.spec, ring, virtual_proxy, around, standing)
        changing = not plan_only and not (virtual_proxy is not None and planned.empty)
        cuts = looking.cuts_of_change(scene, _restarting(virtual_proxy, planned, around)) if changing else ()
    if plan_only:
        return _planned(scene, ring, virtual_proxy, planned)
    if virtual_proxy is not None and planned.empty:
        return _unchanged(scene, looking.remember(scene, ring, virtual_proxy), virtual_proxy, around)
    looking.ask(scene, cuts)
    if virtual_proxy is None or standing is None:
        ring, virtual_proxy = _create(scene, ring, planned)
    else:
        virtual_proxy = _repair(scene, ring, virtual_proxy, around, standing)
    proxies = _link(scene, virtual_proxy, planned.links)
    ring = looking.remember(scene, ring, virtual_proxy)
    result = _keyed(scene, ring, virtual_proxy, proxies, planned)
    return replace(result, extra={"plan": [*described(planned)]})


def _keyed(
    scene: Scene, ring: Ring, virtual_proxy: VirtualProxy, proxies: tuple[ProxyService, ...], planned: Plan
) -> Result:
    """The certificate set where the plan says so, and the login tested."""
    outcome = Outcome.CREATED if planned.create is not None else Outcome.REPAIRED
    seen = looking.Observed(ring, virtual_proxy, proxies)
    if planned.create is None and planned.key is FIRST:
        if virtual_proxy.certificate.strip():
            raise unknown_certificate(scene.spec.name, virtual_proxy)
        return replacement.begin(scene, seen, IntentKind.FIRST_KEY, outcome)
    if planned.key is RESTORE:
        virtual_proxy = _restored(scene, ring, virtual_proxy)
    elif ring.intent is not None:
        return replacement.conclude(
            scene, seen, looking.first_step(scene, seen), outcome, resumed=planned.key is RESUME
        )
    checks = _login(scene, ring, virtual_proxy, proxies)
    reason, message = (
        outcome.value.capitalize(),
        f"the virtual proxy {scene.spec.prefix!r} is as desired, its login tested",
    )
    return scene.result(ring, outcome, reason, message, checks, virtual_proxy=virtual_proxy)


def _create(scene: Scene, ring: Ring, planned: Plan) -> tuple[Ring, VirtualProxy]:
    """POST the virtual proxy with its certificate in it: as it is not linked yet, no proxy restarts."""
    assert planned.create is not None  # noqa: S101 - the caller saw that there is none
    keystore = scene.world.keystore
    version, fresh = _known_key(scene, ring, planned), False
    if version is None:
        ring, version = steps.create(scene, ring)
        ring, fresh = intents.open_first_intent(scene, ring, version), True
    ring, text = certificates.text_of(scene, ring, version)
    body = {**planned.create, CERTIFICATE_FIELD: text}
    scene.world.tell(f"creating the virtual proxy {scene.spec.prefix!r} with the key {short(version.fingerprint)}")
    try:
        with scene.world.journal.step("set", version.fingerprint):
            created = _posted(scene, body, version)
    except RotatorError as error:
        if error.unchanged and fresh:
            intents.withdraw(scene, ring)
            intents.discard(scene, version)
        raise
    return keystore.save(stages.with_baseline(ring, created.id, baseline_of(created))), created


def _known_key(scene: Scene, ring: Ring, planned: Plan) -> KeyVersion | None:
    """The key that an earlier run made for it: the current one, or a first one that was being set. Raises Drift."""
    if planned.key is RESTORE:
        current = ring.at(Stage.CURRENT)
        if current is None or not intents.held(scene, current):
            raise lost_key(scene.spec.name, ring, None)
        return current
    first = ring.known(ring.intent.after) if ring.intent is not None else None
    return first if first is not None and intents.held(scene, first) else None


def _posted(scene: Scene, body: Mapping[str, Json], version: KeyVersion) -> VirtualProxy:
    """POST, and where the answer is lost or says that the prefix is taken, ask whether it was applied all the same.

    An error is `unchanged` where the server refused it, or where the prefix is another's: a late POST must fail then.
    """
    repository, name = scene.world.repository, scene.spec.name
    refusal: RotatorError | None = None
    try:
        created = repository.create(body)
    except (BadRequest, Conflict, *NO_ANSWER) as error:
        error.hint = error.hint or f"run rotator create-proxy {name} again: it goes on from what is there"
        error.unchanged = error.unsent or not isinstance(error, NO_ANSWER)
        refusal = error
        found = repository.find(scene.spec.prefix)
        if found is None:
            raise
        created = found
    except ServerError as error:
        error.unchanged = True
        raise
    if created.fingerprint == version.fingerprint:
        return created
    other = Drift(
        f"{name}: the virtual proxy {scene.spec.prefix!r} is there, but with another certificate than the one sent",
        hint=f"somebody else creates this virtual proxy at the same time; see rotator create-proxy {name} --plan",
    )
    other.unchanged = refusal is not None
    raise other


def _repair(
    scene: Scene, ring: Ring, virtual_proxy: VirtualProxy, around: Surroundings, standing: Found
) -> VirtualProxy:
    """PUT the fields that differ. An edit made in between survives: the difference is computed anew on top of it."""
    if not plan(scene.spec, ring, virtual_proxy, around, standing).changes:
        return virtual_proxy
    with scene.world.journal.step("repair"):
        return _repaired(scene, ring, virtual_proxy, around, standing)


def _repaired(
    scene: Scene, ring: Ring, virtual_proxy: VirtualProxy, around: Surroundings, standing: Found
) -> VirtualProxy:
    repository = scene.world.repository
    for attempt in range(1, PUT_ATTEMPTS + 1):
        changes = plan(scene.spec, ring, virtual_proxy, around, standing).changes
        if not changes:
            return virtual_proxy
        check_complete(scene.spec.name, scene.auth, ring, virtual_proxy)
        scene.world.tell(f"changing {', '.join(change.field for change in changes)}")
        try:
            repository.update(applied(changes, virtual_proxy.entity))
        except (Conflict, *NO_ANSWER):
            if attempt == PUT_ATTEMPTS:
                raise
        scene.world.logins.refresh()
        virtual_proxy = patiently(scene, partial(repository.virtual_proxy, virtual_proxy.id))
    raise Refused(
        f"{scene.spec.name}: the server takes the changes, but does not show them",
        hint=f"compare with rotator create-proxy {scene.spec.name} --plan",
    )


def _link(scene: Scene, virtual_proxy: VirtualProxy, links: tuple[ProxyService, ...]) -> tuple[ProxyService, ...]:
    """Link it to these proxies, and see that each has that link and has lost none. Returns all that it is linked to.

    A link that was taken but is not shown is made again. Raises Refused.
    """
    missing = links
    with scene.world.journal.step("link"):
        for _ in range(PUT_ATTEMPTS):
            for proxy in missing:
                scene.world.tell(f"linking it to the proxy on {proxy.host}")
                _linked_once(scene, proxy, virtual_proxy.id)
            if missing:
                scene.world.logins.refresh()
            proxies = patiently(scene, scene.world.repository.proxies)
            shown = {proxy.id for proxy in looking.linked(proxies, virtual_proxy)}
            missing = tuple(proxy for proxy in links if proxy.id not in shown)
            if not missing:
                break
        _check_links(scene, virtual_proxy, links, proxies)
    return looking.linked(proxies, virtual_proxy)


def _check_links(
    scene: Scene, virtual_proxy: VirtualProxy, links: tuple[ProxyService, ...], proxies: tuple[ProxyService, ...]
) -> None:
    now = {proxy.id: proxy.virtual_proxies for proxy in proxies}
    for proxy in links:
        linked = now.get(proxy.id, frozenset())
        lost = proxy.virtual_proxies - linked
        if virtual_proxy.id not in linked or lost:
            raise Refused(
                f"{scene.spec.name}: the proxy on {proxy.host} does not show the link that was made"
                + (f", and has lost {counted(len(lost), 'other')}" if lost else ""),
                hint="somebody else edits this proxy: look at Proxies > Virtual proxies in the QMC, then run it again",
            )


def _linked_once(scene: Scene, proxy: ProxyService, proxy_id: str) -> None:
    """Link, and after a lost answer or an edit in between look whether it is done, else do it again."""
    for attempt in range(1, PUT_ATTEMPTS + 1):
        try:
            scene.world.repository.link(proxy, proxy_id)
        except (Conflict, *NO_ANSWER):
            seen = next(
                (item for item in patiently(scene, scene.world.repository.proxies) if item.id == proxy.id), proxy
            )
            if proxy_id in seen.virtual_proxies:
                return
            if attempt == PUT_ATTEMPTS:
                raise
        else:
            return


def _restored(scene: Scene, ring: Ring, virtual_proxy: VirtualProxy) -> VirtualProxy:
    """The current key's certificate on a virtual proxy that has lost it."""
    current = intents.current(ring)
    if virtual_proxy.fingerprint == current.fingerprint:
        return virtual_proxy
    if virtual_proxy.certificate.strip():
        raise drift(scene.spec.name, ring, virtual_proxy)
    scene.world.tell(f"putting the certificate of the current key {short(current.fingerprint)} back")
    return steps.put_back(scene, ring, virtual_proxy, current)


def _login(
    scene: Scene, ring: Ring, virtual_proxy: VirtualProxy, proxies: tuple[ProxyService, ...]
) -> tuple[Check, ...]:
    current = intents.current(ring)
    scene.world.tell(f"testing a login with the current key {short(current.fingerprint)}")
    with scene.world.journal.step("test", current.fingerprint):
        return scene.tests.proven(
            scene.world.keystore.key(current),
            virtual_proxy,
            proxies,
            patience=scene.spec.rotation.settle_timeout,
            said="the virtual proxy is as desired, but the current key does not log in everywhere",
            hint=certificates.once_ended(scene, virtual_proxy.not_after) or "look closer with rotator doctor",
        )


def _surroundings(scene: Scene) -> Surroundings:
    repository = scene.world.repository
    return Surroundings(repository.virtual_proxies(), repository.proxies(), repository.nodes())


def _restarting(virtual_proxy: VirtualProxy | None, planned: Plan, around: Surroundings) -> tuple[ProxyService, ...]:
    """The proxies that restart: those it is linked to where the entity changes, and those it will be linked to."""
    edited = virtual_proxy is not None and (bool(planned.changes) or planned.key is not KEEP)
    joining = {proxy.id for proxy in planned.links}
    return tuple(
        proxy
        for proxy in around.proxies
        if proxy.id in joining or (edited and virtual_proxy is not None and virtual_proxy.id in proxy.virtual_proxies)
    )


def _unchanged(scene: Scene, ring: Ring, virtual_proxy: VirtualProxy, around: Surroundings) -> Result:
    proxies = looking.linked(around.proxies, virtual_proxy)
    checks = _login(scene, ring, virtual_proxy, proxies)
    message = f"the virtual proxy {scene.spec.prefix!r} is as desired; nothing was changed"
    return scene.result(
        ring, Outcome.UNCHANGED, "AsDesired", message, checks, virtual_proxy=virtual_proxy, extra={"plan": []}
    )


def _planned(scene: Scene, ring: Ring, virtual_proxy: VirtualProxy | None, planned: Plan) -> Result:
    rows = described(planned)
    outcome, reason = (Outcome.PLANNED, "Differs") if rows else (Outcome.UNCHANGED, "AsDesired")
    message = counted(len(rows), "change") if rows else "as desired; there is nothing to change"
    result = scene.result(ring, outcome, reason, message, virtual_proxy=virtual_proxy, extra={"plan": [*rows]})
    return result if virtual_proxy else replace(result, proxy_id=None)
