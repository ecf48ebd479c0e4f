"""What works on a keyring as a whole: alone among all runs of this state directory, and written to the journal."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rotator.cli.keyring import belonging, remembered
from rotator.cli.session import Session
from rotator.cli.starter import started_by
from rotator.errors import UsageError
from rotator.keystore import inventory, registry
from rotator.model import Config, SecretKind, SecretRef
from rotator.state import lock
from rotator.state.journal import Journal


if TYPE_CHECKING:
    from rotator.ports import SecretStore
    from rotator.state.journal import Ending

KEYRING: Final = ("", "keyring")
"""Site and name of such runs in the journal."""


@contextmanager
def held(session: Session) -> Iterator[tuple[Journal, "Ending"]]:
    """Hold the lock of every site and of the keyring, and record what is done. Raises LockHeld, JournalError."""
    config = session.config
    with ExitStack() as stack:
        of_sites = {
            name for site in config.sites.values() for name in lock.of_site(site.name, registry.address(site.qrs))
        }
        for name in sorted(of_sites):
            stack.enter_context(lock.held(config.state, name, session.command, _now()))
        stack.enter_context(lock.held(config.state, "keyring", session.command, _now()))
        journal = stack.enter_context(closing(Journal(config.state, _now, lambda: 0, session.tell)))
        ending = stack.enter_context(journal.run(*KEYRING, session.command, started_by(os.environ)))
        yield journal, ending


def enter_sites(config: Config, store: "SecretStore", journal: Journal) -> None:
    """Enter again each site that the registry has lost and the journal knows, where the keyring has keys of it.

    What goes by the registry would leave them behind. Raises what `belonging` raises, and JournalError.
    """
    found, agreed = belonging(config, store, moved_too=True)
    before = entered = found or registry.Registry(agreed or registry.new_installation())
    for site in config.sites.values():
        known = None if entered.find(site.name, site.qrs) else remembered(config.state, entered, site)
        if known is None:
            continue
        again = entered.with_site(site.name, site.qrs, known)
        rings = [items.ring() for spec, items in inventory.rings(store, again, config) if spec.site == site.name]
        # An empty keyring, as another account's, must not be made one of this installation.
        if any(ring.generation for ring in rings):
            entered = again
    if entered != before:
        with journal.effect("store item", registry.ITEM):
            registry.write(store, entered)


def _now() -> datetime:
    return datetime.now(UTC)


def reference(text: str, option: str) -> SecretRef:
    """A master key's `file:PATH`, `credential:NAME` or `dpapi:PATH` from the command line. Raises UsageError."""
    from rotator.config.values import Wrong
    from rotator.config.values import master_key as parsed

    try:
        found = parsed(text, Path.cwd())
    except Wrong as wrong:
        raise UsageError(f"{option} {wrong}", hint="see rotator keys rekey --help") from None
    if found.kind is SecretKind.FILE and not Path(found.name).exists():
        raise UsageError(
            f"{option}: {found.name} is not there",
            hint=f"make a new key: rotator keys master-key --output {found.name}",
        )
    return found
