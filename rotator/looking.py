"""The look that every verb begins with: what server and keyring hold, before anything is changed."""

from dataclasses import dataclass
from typing import Final

from rotator import intents
from rotator.errors import Drift, NotFound, PermissionDenied, Refused, TryLater
from rotator.model import Auth, Cut, Fingerprint, ProxyService, Ring, Stage, VirtualProxy
from rotator.planning import stages
from rotator.planning.drift import check_manageable, problem
from rotator.planning.entity import baseline_of, check_complete
from rotator.planning.recovery import Evidence, Finding, Found, Step, assess
from rotator.scene import Scene


LOOK: Final = "look"
"""The step's name in the journal."""
_ALL_RIGHTS: Final = (
    r"with a client certificate use the user INTERNAL\sa_api; rotator doctor tells which rights are missing"
)


@dataclass(frozen=True, slots=True)
class Observed:
    """What a run found: the ring, the virtual proxy and the proxies it is linked to."""

    ring: Ring
    virtual_proxy: VirtualProxy
    proxies: tuple[ProxyService, ...]


def look(scene: Scene, ring: Ring) -> Observed:
    """What is there, without changing anything. Raises Drift, Refused, ServerError."""
    with scene.world.journal.step(LOOK):
        return observe(scene, ring)


def observe(scene: Scene, ring: Ring) -> Observed:
    """The same in the middle of a longer look, which has opened its step: test logins and counts belong to it too."""
    name, prefix, repository = scene.spec.name, scene.spec.prefix, scene.world.repository
    virtual_proxy = repository.find(prefix)
    if virtual_proxy is None:
        raise absent(scene, ring)
    check_manageable(name, virtual_proxy)
    check_complete(name, scene.auth, ring, virtual_proxy)
    seen = repository.proxies()
    check_sees(name, seen)
    proxies = linked(seen, virtual_proxy)
    if not proxies:
        raise Refused(
            f"{name}: the virtual proxy {prefix!r} is linked to no proxy, so nobody can log in through it",
            hint=f"link it: rotator create-proxy {name}; or in the QMC, where the current key is lost or it serves another",
        )
    return Observed(ring, virtual_proxy, proxies)


def absent(scene: Scene, ring: Ring) -> Drift | Refused:
    """The error for a virtual proxy that no list shows. Raises PermissionDenied where that says nothing."""
    name, prefix = scene.spec.name, scene.spec.prefix
    check_sees(name, scene.world.repository.proxies())
    check_gone(scene, ring)
    if ring.at(Stage.CURRENT) is not None:
        return Drift(
            f"{name}: there is no virtual proxy with the prefix {prefix!r} any more; the keyring has its keys",
            hint=f"create it again with the key that its consumers have: rotator create-proxy {name}",
        )
    return Refused(
        f"{name}: there is no virtual proxy with the prefix {prefix!r} yet",
        hint=f"create it: rotator create-proxy {name}",
    )


def check_gone(scene: Scene, ring: Ring) -> None:
    """Raise Drift where the virtual proxy that the keys are of is still there, under another prefix than the configured one.

    Raises PermissionDenied where it may be there, and the caller is not shown it.
    """
    name, prefix = scene.spec.name, scene.spec.prefix
    renamed = by_id(scene, ring)
    if renamed is not None:
        raise Drift(
            f"{name}: there is no virtual proxy with the prefix {prefix!r} any more: the one that the keyring has the keys "
            f"of, {renamed.id}, has another prefix now",
            hint=f"give it the prefix {prefix!r} again in the QMC; or, where the new one is to stay: rotator release {name} "
            f"--private-to FILE, then name it as prefix in [proxy.{name}], and rotator adopt {name} --key FILE",
        )


def by_id(scene: Scene, ring: Ring) -> VirtualProxy | None:
    """The virtual proxy that the keys are of, where no list shows one with its prefix: renamed; None where it is gone.

    Raises PermissionDenied where the caller may not see it: a list of few rights lacks it, and for a caller of few rights
    404 says no more than 403 (FACTS 3.3).
    """
    name = scene.spec.name
    if ring.proxy_id is None:
        return None
    try:
        return scene.world.repository.virtual_proxy(ring.proxy_id)
    except NotFound as error:
        if scene.auth is Auth.CERTIFICATE:
            return None
        answer = error.message
    except PermissionDenied as error:
        answer = error.message
    raise PermissionDenied(
        f"{name}: QRS does not show the virtual proxy {scene.spec.prefix!r} to this user: {answer}",
        hint=_ALL_RIGHTS
        if scene.auth is Auth.CERTIFICATE
        else f"give it Read on VirtualProxyConfig_{ring.proxy_id} in the QMC under Security rules; whether it was deleted "
        'says a configuration whose auth is "certificate"',
    )


def check_sees(name: str, proxies: tuple[ProxyService, ...]) -> None:
    """Raise PermissionDenied where QRS shows no proxy at all: every site has one, but lists hold what the user may see."""
    if not proxies:
        raise PermissionDenied(
            f"{name}: QRS shows this user no proxy at all: the rights to see them are missing",
            hint=_ALL_RIGHTS,
        )


def found(scene: Scene, ring: Ring, shown: Fingerprint | None) -> Found:
    """How the key that the server shows stands, by the keyring and the journal too. Raises KeyStoreUnavailable."""
    intent, current = ring.intent, ring.at(Stage.CURRENT)
    asked: set[Fingerprint | None] = {shown, current.fingerprint if current else None}
    asked |= {intent.before, intent.after} if intent else set()
    versions = [version for version in map(ring.known, asked) if version is not None]
    held = frozenset(version.fingerprint for version in versions if intents.held(scene, version))
    # Asked for where it decides something: a key of ours is put back by its private half.
    text = intent is None or ring.known(intent.before) is not None or intents.restorable(scene, intent)
    return assess(Evidence(ring, shown, held, scene.world.keystore.memory(), text=text))


def first_step(scene: Scene, observed: Observed) -> Step:
    """Where a run goes on: at the beginning, or in the middle of a change under way. Raises Drift, Refused."""
    standing = found(scene, observed.ring, observed.virtual_proxy.fingerprint)
    if standing.step is None or standing.finding not in (Finding.SETTLED, Finding.UNFINISHED):
        raise problem(scene.spec.name, observed.ring, observed.virtual_proxy, standing)
    return standing.step


def linked(proxies: tuple[ProxyService, ...], virtual_proxy: VirtualProxy) -> tuple[ProxyService, ...]:
    """Those of the proxies that the virtual proxy is linked to."""
    return tuple(proxy for proxy in proxies if virtual_proxy.id in proxy.virtual_proxies)


def remember(scene: Scene, ring: Ring, virtual_proxy: VirtualProxy) -> Ring:
    """Under the certificate, which sees everything, keep what the lists hold for runs that may see less."""
    if scene.auth is not Auth.CERTIFICATE:
        return ring
    baseline = baseline_of(virtual_proxy)
    if ring.baseline == baseline and ring.proxy_id == virtual_proxy.id:
        return ring
    return scene.world.keystore.save(stages.with_baseline(ring, virtual_proxy.id, baseline))


def cuts(scene: Scene, proxies: tuple[ProxyService, ...]) -> tuple[Cut, ...]:
    """What a change interrupts: the sessions on every proxy that will restart."""
    return tuple(Cut(proxy.host, scene.world.sessions.count(proxy)) for proxy in proxies)


def cuts_of_change(scene: Scene, proxies: tuple[ProxyService, ...]) -> tuple[Cut, ...]:
    """The same for a change that is to be made, the last thing looked at. Raises Refused where it must not be made."""
    scene.check_way()
    return cuts(scene, proxies)


def ask(scene: Scene, announced: tuple[Cut, ...]) -> None:
    """Raise TryLater where the person at the terminal does not want the change that cuts these sessions."""
    if not announced:
        return
    if not scene.world.consent(announced):
        raise TryLater(f"{scene.spec.name}: not confirmed; nothing was changed")
    known = [cut.sessions for cut in announced if cut.sessions is not None]
    if known:
        scene.world.journal.cut(sum(known))
