"""What a rotation does next, decided from what the ring and the server say."""

from dataclasses import replace
from enum import StrEnum

from rotator.errors import Drift, Refused, RotatorError
from rotator.model import CERTIFICATE_BACKDATE, JWT_METHOD, KeyVersion, ProxySpec, Ring, Stage, VirtualProxy, short


class Step(StrEnum):
    """Where a run of `rotate` begins."""

    CREATE = "create"
    SET = "set"
    TEST = "test"
    UNDO = "undo"


def first_step(name: str, ring: Ring, observed: VirtualProxy) -> Step:
    """The step a run begins with. Raises Drift where the server holds what the ring does not expect.

    Without an open intent the server must hold the current key. With one it holds the key the intent goes to (then
    only the test is left), or the one it starts from (then the certificate is set again); anything else is drift.
    Once the test has failed the way leads back from either.
    """
    shown = observed.fingerprint
    if ring.intent is not None:
        if ring.intent.undoing and shown in (ring.intent.before, ring.intent.after):
            return Step.UNDO
        if shown == ring.intent.after:
            return Step.TEST
        if shown == ring.intent.before:
            return Step.SET
        raise drift(name, ring, observed)
    current = ring.at(Stage.CURRENT)
    if current is None:
        raise no_current_key(name, observed)
    if shown != current.fingerprint:
        raise drift(name, ring, observed)
    return Step.CREATE


def no_current_key(name: str, observed: VirtualProxy) -> RotatorError:
    """The error for a virtual proxy whose key rotator does not have."""
    if observed.fingerprint is None:
        return Refused(
            f"{name}: neither the keyring nor the virtual proxy has a key yet",
            hint=f"give it its first key: rotator create-proxy {name}",
        )
    return unknown_certificate(name, observed)


def unknown_certificate(name: str, observed: VirtualProxy) -> Drift:
    """The error for a certificate that is somebody's live login."""
    shown = observed.fingerprint
    what = (
        f"a certificate that rotator does not know, fingerprint {short(shown)}"
        if shown
        else "an unreadable certificate"
    )
    return Drift(
        f"{name}: the virtual proxy {observed.prefix!r} holds {what}: somebody logs in with it",
        hint=(
            f"take its private key in: rotator adopt {name} --key FILE; "
            f"or, if nobody has that key any more: rotator adopt {name} --replace-key"
        ),
    )


def drift(name: str, ring: Ring, observed: VirtualProxy) -> Drift:
    """The error for a server that holds another key than the ring expects, told by what is known of that key."""
    shown = observed.fingerprint
    known = ring.known(shown)
    current = ring.at(Stage.CURRENT)
    expected = short(current.fingerprint) if current else "none"
    if known is not None:
        return Drift(
            f"{name}: the virtual proxy holds the {known.stage} key {short(known.fingerprint)} in place of the current "
            f"one, {expected}: somebody put an older certificate back",
            hint=(
                f"if that key is to stay: rotator recover {name} tests it and makes it current; else put the current "
                f"certificate back in the QMC (rotator keys export {name} prints it)"
            ),
        )
    if shown is None and not observed.certificate.strip():
        return Drift(
            f"{name}: the virtual proxy has lost its certificate; the current key is {expected}",
            hint=f"put it back: rotator create-proxy {name}",
        )
    return unknown_certificate(name, observed)


def check_manageable(name: str, observed: VirtualProxy) -> None:
    """Raise Drift for a virtual proxy that rotator must not touch."""
    if observed.default:
        raise Drift(
            f"{name}: the prefix {observed.prefix!r} is the default virtual proxy, which rotator never touches",
            hint="choose a prefix of its own for the virtual proxy that takes JWTs",
        )
    if observed.method != JWT_METHOD:
        raise Drift(
            f"{name}: the virtual proxy {observed.prefix!r} authenticates by "
            f"{_METHODS.get(observed.method, 'another method')}, not by JWT",
            hint="choose another prefix, or change its authentication method in the QMC if it is meant for JWTs",
        )


_METHODS = {
    0: "ticket",
    1: "HTTP header with a static user directory",
    2: "HTTP header with a dynamic user directory",
    3: "SAML",
    5: "OIDC",
}


def as_served(ring: Ring, observed: VirtualProxy) -> Ring:
    """The ring with the current key as old as the server's certificate says, where that is older than the keyring says.

    The same key may be served under another certificate than the one rotator made: it then ends when that one ends.
    """
    current = ring.at(Stage.CURRENT)
    if current is None or observed.fingerprint != current.fingerprint:
        return ring
    begun, ends = observed.not_before, observed.not_after
    served = replace(
        current,
        created=min(current.created, begun + CERTIFICATE_BACKDATE) if begun else current.created,
        not_after=ends or current.not_after,
    )
    return replace(ring, keys=tuple(served if key is current else key for key in ring.keys))


def reusable_pending(ring: Ring, spec: ProxySpec) -> KeyVersion | None:
    """The pending key that was made earlier and never sent, if it is of the size that is wanted now."""
    pending = ring.at(Stage.PENDING)
    if pending is None or pending.bits != spec.rotation.key_bits:
        return None
    return pending
