"""The ring as a rotation looks at it: when its current key ends, and which pending key it may use."""

from dataclasses import replace

from rotator.model import KeyVersion, ProxySpec, Ring, Stage, VirtualProxy


def as_served(ring: Ring, observed: VirtualProxy) -> Ring:
    """The ring with the current key ending when the server's certificate does, which may be another than rotator made."""
    current = ring.at(Stage.CURRENT)
    if current is None or observed.fingerprint != current.fingerprint or observed.not_after is None:
        return ring
    served = replace(current, not_after=observed.not_after)
    return replace(ring, keys=tuple(served if key is current else key for key in ring.keys))


def reusable_pending(ring: Ring, spec: ProxySpec) -> KeyVersion | None:
    """The pending key that was made earlier and never sent, if it is of the size that is wanted now."""
    pending = ring.at(Stage.PENDING)
    if pending is None or pending.sent or pending.bits != spec.rotation.key_bits:
        return None
    return pending
