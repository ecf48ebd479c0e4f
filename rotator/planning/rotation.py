"""The ring as a rotation looks at it: how old its current key is, and which pending key it may use."""

from dataclasses import replace

from rotator.model import CERTIFICATE_BACKDATE, KeyVersion, ProxySpec, Ring, Stage, VirtualProxy


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
