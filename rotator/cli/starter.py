"""Who or what started this run, for the journal."""

import getpass
from collections.abc import Mapping

from rotator.daemon import CHILD_VARIABLE


def started_by(environment: Mapping[str, str]) -> str:
    """The account, who became it by sudo, and whether rotator's daemon or systemd started it: `rotator (systemd)`."""
    try:
        account = getpass.getuser()
    except (OSError, KeyError):
        account = "an unnamed account"
    person = environment.get("SUDO_USER")
    by = f" for {person} by sudo" if person and person != account else ""
    how = " (daemon)" if CHILD_VARIABLE in environment else " (systemd)" if "INVOCATION_ID" in environment else ""
    return account + by + how
