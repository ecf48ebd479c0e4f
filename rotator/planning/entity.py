"""The whole entity that a PUT sends, and what must hold before it may be sent."""

from collections.abc import Mapping

from rotator.errors import Refused
from rotator.model import Auth, Baseline, Json, Ring, VirtualProxy, counted


CERTIFICATE_FIELD = "jwtPublicKeyCertificate"


def with_certificate(observed: VirtualProxy, text: str) -> dict[str, Json]:
    """The entity as it was read, its certificate alone changed."""
    return {**observed.entity, CERTIFICATE_FIELD: text}


def baseline_of(observed: VirtualProxy) -> Baseline:
    """The ids in the entity's lists as this caller sees them, and the audience."""
    return Baseline(
        nodes=ids(observed.entity, "loadBalancingServerNodes"),
        tags=ids(observed.entity, "tags"),
        custom_properties=ids(observed.entity, "customProperties"),
        audience=observed.audience,
    )


def check_complete(name: str, auth: Auth, ring: Ring, observed: VirtualProxy) -> None:
    """Raise Refused where a PUT could erase what the caller cannot see.

    A caller with few rights is shown filtered lists, and a PUT of the whole entity would make them so. Under the
    certificate everything is seen; under a JWT nothing may be missing that root once saw.
    """
    if auth is Auth.CERTIFICATE:
        return
    if ring.baseline is None:
        raise Refused(
            f'{name}: under auth = "jwt" it cannot be told whether the lists of the virtual proxy are shown in full',
            hint='run rotator verify once with auth = "certificate": it remembers what root sees',
        )
    seen, due = baseline_of(observed), ring.baseline
    lost = (
        (due.nodes - seen.nodes, "load balancing node"),
        (due.tags - seen.tags, "tag"),
        (due.custom_properties - seen.custom_properties, "custom property", "custom properties"),
    )
    missing = ", ".join(counted(len(gone), *words) for gone, *words in lost if gone)
    if missing:
        raise Refused(
            f"{name}: the service user does not see {missing} of the virtual proxy, and a PUT would erase them",
            hint="give the service user Read on them, or, if they are gone on purpose, run rotator verify once "
            'with auth = "certificate"',
        )


def ids(entity: Mapping[str, Json], field: str) -> frozenset[str]:
    """The ids in one of the entity's lists, which is as it came: what is no text is none."""
    items = entity.get(field)
    if not isinstance(items, list):
        return frozenset()
    found = [item.get("id") for item in items if isinstance(item, dict)]
    return frozenset(item for item in found if isinstance(item, str))
