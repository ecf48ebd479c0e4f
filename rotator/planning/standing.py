"""How a virtual proxy stands, for the metrics and for what will soon be too late."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Final

from rotator.model import ProxySpec, Ring, Stage, Standing
from rotator.planning.due import DueReason, due


_STATIONS: Final = 4
"""More than a start can be put off in a row: by its schedule, by a retry, by a window."""


def standing(spec: ProxySpec, ring: Ring, now: datetime) -> Standing:
    """What the keyring tells of a virtual proxy at `now` (UTC)."""
    current = ring.at(Stage.CURRENT)
    return Standing(
        site=spec.site,
        name=spec.name,
        certificate_ends=current.not_after if current else None,
        key_created=current.created if current else None,
        next_due=next_due(spec, ring, now),
        retries=ring.retry.attempts if ring.retry else 0,
    )


def next_due(spec: ProxySpec, ring: Ring, now: datetime) -> datetime | None:
    """When an unattended run will find something due: past where it is due already, None where it never will.

    Beyond `due`, which tells the next obstacle, this looks past them all: a key whose time comes on a Monday begins in
    the window of the Sunday after.
    """
    moment = now
    for _ in range(_STATIONS):
        verdict = due(spec, ring, moment)
        if verdict.due:
            return (verdict.at or now) if moment == now else moment
        if verdict.at is None or verdict.reason is DueReason.OUTSIDE_WINDOW:
            return verdict.at
        moment = verdict.at
    return moment


def of_known(standings: Iterable[Standing], known: Collection[tuple[str, str]]) -> tuple[Standing, ...]:
    """Those of virtual proxies (site, name) that are in the configuration, and of their sites."""
    sites = {site for site, _ in known}
    return tuple(
        standing
        for standing in standings
        if ((standing.site, standing.name) in known if standing.name else standing.site in sites)
    )
