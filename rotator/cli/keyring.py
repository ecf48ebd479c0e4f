"""The keyring of the configuration, and the keys of its virtual proxies in it. Light: `rotator due` needs no more."""

import os
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from rotator.cli.output import told
from rotator.config import place
from rotator.errors import ConfigError, JournalError
from rotator.keystore import registry
from rotator.keystore.backends import keyring_name, open_store, unfinished
from rotator.keystore.key_items import KeyItems
from rotator.model import Config, ProxySpec, Ring, Site
from rotator.state import directory, lock
from rotator.state.journal import generation, site_id


if TYPE_CHECKING:
    from pathlib import Path

    from rotator.keystore.registry import Registry, SiteEntry
    from rotator.ports import Journal, SecretStore


REGISTRY_WAIT = 10.0
"""Seconds to wait for another rotator that enters its site in the same keyring."""


class Keyring:
    """Opened at first use. Raises KeyStoreError, SecretUnavailable, InstallationMismatch."""

    def __init__(self, config: Config) -> None:
        self._config = config

    @cached_property
    def store(self) -> "SecretStore":
        """The configured keyring. What a person has yet to do about it is said."""
        store = open_store(self._config.keyring, os.environ)
        left = unfinished(self._config.keyring, store)
        if left:
            told(f"rotator: {left}")
        return store

    @cached_property
    def _registry(self) -> "Registry":
        """Whose keyring it is. State directory and keyring must belong together; either may be new."""
        found, agreed = belonging(self._config, self.store)
        return found or registry.Registry(agreed or registry.new_installation())

    @property
    def site_ids(self) -> frozenset[str]:
        """The sites that it knows, by the ids that their items' names begin with."""
        return frozenset(site.id for site in self._registry.sites)

    def keystore(self, spec: ProxySpec) -> KeyItems:
        """The keys of one virtual proxy, for reading."""
        return self._items(self._registry, spec)

    def writable(self, spec: ProxySpec, journal: "Journal") -> KeyItems:
        """The same for writing: the site is entered in the registry, and the state directory marked as belonging."""
        site, state = self._config.sites[spec.site], self._config.state
        if self._settled(site):
            return self._items(self._registry, spec)
        with lock.held(state, "keyring", "registry", datetime.now(UTC), wait=REGISTRY_WAIT):
            found = registry.read(self.store) or self._registry
            entered = found.with_site(site.name, site.qrs, self._remembered(found, site))
            with journal.effect("store item", registry.ITEM):
                registry.write(self.store, entered)
            with journal.effect("mark state directory"):
                directory.write_installation(state, entered.installation)
        self.__dict__["_registry"] = entered
        return self._items(entered, spec)

    def _settled(self, site: Site) -> bool:
        """Whether the registry knows the site as it is configured now, and the state directory belongs to it."""
        known = self._registry.find(site.name, site.qrs)
        if known is None or known != registry.SiteEntry(known.id, site.name, registry.address(site.qrs)):
            return False
        return directory.installation(self._config.state) == self._registry.installation

    def _items(self, found: "Registry", spec: ProxySpec) -> KeyItems:
        site = self._config.sites[spec.site]
        entry = found.find(site.name, site.qrs)
        known = entry.id if entry else self._remembered(found, site)
        return KeyItems(self.store, known or site.name, spec.prefix)

    def _remembered(self, found: "Registry", site: Site) -> str | None:
        with suppress(JournalError):  # a damaged one is told by the run that wants to write to it
            return remembered(self._config.state, found, site)
        return None

    def entry(self, spec: ProxySpec) -> "SiteEntry":
        """How the registry has the site of a virtual proxy, whose keys have been opened for writing."""
        site = self._config.sites[spec.site]
        entry = self._registry.find(site.name, site.qrs)
        assert entry is not None  # noqa: S101 - `writable` has entered it
        return entry

    def whole_ring(self, spec: ProxySpec) -> Ring:
        """The ring of a virtual proxy. Raises RestoredKeyring where the journal knows of later changes of it.

        Raises JournalError where the keyring has none, and nobody can tell whether it ever had.
        """
        known, unread, items = 0, None, self.keystore(spec)
        try:
            known = generation(self._config.state, items.base, self.site_ids)
        except JournalError as error:
            unread = error
        ring = items.ring()  # after the journal, which is behind it while another run works
        if unread is not None and ring.generation == 0:
            raise unread
        if known > ring.generation:
            from rotator.planning.drift import restored

            raise restored(spec.name, ring.generation, known)
        return ring


def remembered(state: "Path", found: "Registry", site: Site) -> str | None:
    """The id of a site that the registry does not have, as the journal knows it: its keys may be there under it yet.

    So the registry's item lost alone, or not given once, loses no key. Raises JournalError.
    """
    known = site_id(state, site.name, registry.address(site.qrs))
    return None if known in {other.id for other in found.sites} else known


def belonging(config: Config, store: "SecretStore", *, moved_too: bool = False) -> "tuple[Registry | None, str | None]":
    """Whose keyring it is, and the installation id that it and the state directory have.

    Raises InstallationMismatch, and ConfigError for a keyring whose keys were moved elsewhere, unless `moved_too`.
    """
    found, state = registry.read(store), config.state
    if found is not None and found.moved is not None and not moved_too:
        raise ConfigError(
            f"the keys were moved from the keyring {keyring_name(config.keyring)} to {found.moved}",
            hint=f"name that keyring: {place(config.source, ('keyring', 'backend'))}",
        )
    return found, directory.agreed(directory.installation(state), found.installation if found else None, state)
