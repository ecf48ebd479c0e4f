"""Who or what started this run, for the journal."""

from collections.abc import Mapping
from pathlib import Path

from rotator.accounts import current
from rotator.daemon import CHILD_VARIABLE


CGROUP = Path("/proc/self/cgroup")
"""Where Linux tells the unit that a process belongs to (cgroups(7))."""


def started_by(environment: Mapping[str, str]) -> str:
    """The account, who became it by sudo, and what started it: rotator's daemon, or a unit of systemd.

    As `rotator (daemon)`, `rotator (rotator-rotate@portal.service)`.
    """
    account = current()
    person = environment.get("SUDO_USER")
    by = f" for {person} by sudo" if person and person != account else ""
    unit = _unit() if "INVOCATION_ID" in environment else ""
    what = "daemon" if CHILD_VARIABLE in environment else unit
    return account + by + (f" ({what})" if what else "")


def _unit() -> str:
    """The service this process runs in, empty in a session of a person's."""
    try:
        lines = CGROUP.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    services = [part for line in lines for part in line.split("/") if part.endswith(".service")]
    return services[-1] if services and not services[-1].startswith("user@") else ""
