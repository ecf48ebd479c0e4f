"""The one place where the certificate of a virtual proxy is written: asked first, asked again afterwards."""

from collections.abc import Callable
from typing import Final, TypeVar

from rotator import verification
from rotator.errors import (
    Conflict,
    Drift,
    PersonNeeded,
    RotatorError,
    ServerError,
    ServerFault,
    ServerUnreachable,
    TlsError,
    UnexpectedAnswer,
    UnknownState,
)
from rotator.model import Fingerprint, Ring, VirtualProxy, short
from rotator.planning.entity import check_complete, with_certificate
from rotator.scene import Scene


T = TypeVar("T")
PUT_ATTEMPTS: Final = 5
"""How often a PUT is made again when somebody else edited in between or its answer was lost."""
NO_ANSWER = (ServerUnreachable, ServerFault, TlsError, UnexpectedAnswer)
"""After these nobody knows whether the change was applied: the server must be asked."""


def put(
    scene: Scene,
    ring: Ring,
    proxy_id: str,
    *,
    start: Fingerprint | None,
    goal: Fingerprint | None,
    text: str,
    patient: bool = False,
) -> VirtualProxy:
    """PUT `text` over the certificate with fingerprint `start`, and see that the server then shows `goal`.

    An edit that somebody made in between survives: the entity is read again and ours is made on top of it. After a
    lost answer the server is asked, as the change may have been applied, and may land late: sent again, the later
    `modifiedDate` makes the late one fail. With `patient` the first question is asked again too: something was sent
    before, and giving up leaves it so. Raises Drift for any third certificate; UnknownState where nobody knows whether
    it was applied, or it was and the server shows `start` all the same; one of NO_ANSWER where it was not, but may land
    late. An error that is `unchanged` says: never.
    """
    repository = scene.world.repository

    def ask() -> VirtualProxy:
        return repository.virtual_proxy(proxy_id)

    unanswered: ServerError | None = None
    sent = taken = False
    try:
        for attempt in range(PUT_ATTEMPTS):
            if attempt:
                scene.world.clock.sleep(min(verification.FIRST_WAIT * 2**attempt, verification.LONGEST_WAIT))
            virtual_proxy = patiently(scene, ask) if attempt or patient else ask()
            if virtual_proxy.fingerprint == goal:
                # What an earlier run sent, or this one, has landed meanwhile.
                taken = True
                break
            _check_start(scene, virtual_proxy, start)
            check_complete(scene.spec.name, scene.auth, ring, virtual_proxy)
            try:
                repository.update(with_certificate(virtual_proxy, text))
                taken = True
                break
            except Conflict:
                if attempt == PUT_ATTEMPTS - 1:
                    raise
            except NO_ANSWER as error:
                unanswered = error
                sent = sent or not error.unsent
        scene.world.logins.refresh()
        virtual_proxy = patiently(scene, ask)
        if not taken and virtual_proxy.fingerprint != goal:
            _check_start(scene, virtual_proxy, start)
    except RotatorError as error:
        failure = unanswered if unanswered is not None and not isinstance(error, Drift) else error
        failure.unchanged = not sent and not taken
        if failure.unchanged or isinstance(failure, PersonNeeded):
            raise failure from None
        raise UnknownState(
            f"{scene.spec.name}: whether the certificate of {named(goal)} is in place is not known, so users may be kept "
            f"out: {failure.message}",
            hint=failure.hint,
        ) from None
    if virtual_proxy.fingerprint == goal:
        return virtual_proxy
    if unanswered is not None and not taken:
        unanswered.unchanged = not sent
        raise unanswered
    shows = f"{scene.spec.name}: the server took the certificate of {named(goal)}, but shows {named(virtual_proxy.fingerprint)}"
    if virtual_proxy.fingerprint == start:
        # An answer of before the change, or somebody put back what was there: only another look can tell.
        raise UnknownState(f"{shows} as before", hint=f"see what it holds now: rotator status {scene.spec.name}")
    raise Drift(
        shows,
        hint=f"somebody else changes this virtual proxy; what it holds now: rotator status {scene.spec.name}",
    )


def _check_start(scene: Scene, virtual_proxy: VirtualProxy, start: Fingerprint | None) -> None:
    if virtual_proxy.fingerprint != start:
        raise Drift(
            f"{scene.spec.name}: the certificate changed under the rotation: expected {named(start)}, "
            f"the server shows {named(virtual_proxy.fingerprint)}",
            hint=f"somebody else changes this virtual proxy; what it holds now: rotator status {scene.spec.name}",
        )


def patiently(scene: Scene, ask: Callable[[], T]) -> T:
    """What `ask` gets from QRS, asked until `settle_timeout` while no answer comes.

    After a change the server may restart, or the proxy that leads to it. Raises ServerError.
    """
    clock = scene.world.clock
    deadline = clock.monotonic() + scene.spec.rotation.settle_timeout.total_seconds()
    pause = verification.FIRST_WAIT
    while True:
        try:
            return ask()
        except NO_ANSWER:
            if clock.monotonic() >= deadline:
                raise
        clock.sleep(pause)
        pause = min(pause * 2, verification.LONGEST_WAIT)


def named(fingerprint: Fingerprint | None) -> str:
    """A fingerprint as people see it, or that there is no certificate."""
    return short(fingerprint) if fingerprint else "no certificate"
