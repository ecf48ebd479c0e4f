"""Who or what started this run, for the journal."""

from collections.abc import Mapping

from rotator.accounts import current


def started_by(environment: Mapping[str, str]) -> str:
    """The account, who became it by sudo, and whether systemd started it, e.g. `rotator (systemd)`."""
    account = current()
    person = environment.get("SUDO_USER")
    by = f" for {person} by sudo" if person and person != account else ""
    return account + by + (" (systemd)" if "INVOCATION_ID" in environment else "")
