"""Findings that stop a run, as errors that say what was found and what to do about it."""

from rotator.errors import Drift, Refused, RestoredKeyring, RotatorError
from rotator.model import JWT_METHOD, Ring, Stage, VirtualProxy, counted, short
from rotator.planning.recovery import Finding, Found


def problem(name: str, ring: Ring, observed: VirtualProxy, found: Found) -> RotatorError:
    """The error for a finding that a rotation cannot go on from."""
    if found.finding is Finding.NOTHING and observed.certificate.strip():
        return unknown_certificate(name, observed)
    if found.finding is Finding.NOTHING:
        return Refused(
            f"{name}: neither the keyring nor the virtual proxy has a key yet",
            hint=f"give it its first key: rotator create-proxy {name}",
        )
    if found.finding is Finding.LOST_KEY:
        return lost_key(name, ring, observed)
    if found.finding is Finding.UNFINISHED and ring.intent is not None:
        return Drift(
            f"{name}: a change to {short(ring.intent.after)} is not finished, and the private key of "
            f"{short(observed.fingerprint or 'none')}, which the server shows, is not in the keyring",
            hint=f"finish or undo it: rotator recover {name}",
        )
    return drift(name, ring, observed)


def drift(name: str, ring: Ring, observed: VirtualProxy) -> Drift:
    """The error for a server that holds another key than the ring expects, told by what is known of that key."""
    shown = observed.fingerprint
    known = ring.known(shown)
    current = ring.at(Stage.CURRENT)
    expected = short(current.fingerprint) if current else "none"
    if known is not None and known is current and ring.intent is not None:
        return Drift(
            f"{name}: the virtual proxy holds the current key {short(known.fingerprint)}, but a change to "
            f"{short(ring.intent.after)} is not finished: somebody put the current certificate back",
            hint=f"rotator recover {name} tests that key, and gives the change up",
        )
    if known is not None:
        return Drift(
            f"{name}: the virtual proxy holds the {known.stage} key {short(known.fingerprint)} in place of the current "
            f"one, {expected}: somebody put an older certificate back",
            hint=(
                f"if that key is to stay: rotator recover {name} tests it and makes it current; else put the current "
                f"certificate back in the QMC (rotator keys export {name} prints it, from BEGIN CERTIFICATE on)"
            ),
        )
    if shown is None and not observed.certificate.strip():
        return Drift(
            f"{name}: the virtual proxy has lost its certificate; the current key is {expected}",
            hint=f"put it back: rotator create-proxy {name}",
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
        hint=taken_in(name),
    )


def taken_in(name: str) -> str:
    """What to do about a certificate that is somebody's live login."""
    return (
        f"take its private key in: rotator adopt {name} --key FILE; "
        f"or, if nobody has that key any more: rotator adopt {name} --replace-key"
    )


def lost_key(name: str, ring: Ring, observed: VirtualProxy | None) -> Drift:
    """The error for a key that is served, or was to be put back, and whose private half the keyring does not give."""
    current = ring.at(Stage.CURRENT)
    shown = (observed and observed.fingerprint) or (current.fingerprint if current else "")
    where = "which the server shows" if observed and observed.fingerprint else "the current one"
    said = f"{name}: the private key of {short(shown)}, {where}, is not in the keyring any more"
    if observed is None:
        return Drift(
            f"{said}, and the virtual proxy is not there any more",
            hint=f"restore the keyring from a backup; if the key is lost for good, begin anew: rotator release {name}, "
            f"then rotator create-proxy {name}",
        )
    return Drift(said, hint=out_of_loss(name))


def out_of_loss(name: str) -> str:
    """What to do about a key that is served and that the keyring does not give."""
    return (
        f"restore the keyring from a backup, or take the key in where somebody has it: rotator adopt {name} --key "
        f"FILE; if it is lost for good, put a fresh one in its place: rotator recover {name} --replace-lost-key"
    )


def restored(name: str, stored: int, known: int) -> RestoredKeyring:
    """The error for a keyring with changes up to `stored`, where the journal knows of `known`."""
    what = "no keys of it any more" if stored == 0 else f"an older copy of them ({stored})"
    return RestoredKeyring(
        f"{name}: rotator has changed its keys {counted(known, 'time')}, but the keyring holds {what}",
        hint=f"if the keyring was restored from a backup or lost: rotator recover {name}; "
        "if it is the wrong keyring, see [keyring] and the account that runs rotator",
    )


def both_lost(name: str) -> Drift:
    """The error for a certificate and a key that are both gone: nobody can log in."""
    return Drift(
        f"{name}: the virtual proxy has no certificate, and the keyring no current key of it any more: nobody can log in",
        hint=f"restore the keyring from a backup; without one, give it a new key: rotator create-proxy {name}",
    )


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
