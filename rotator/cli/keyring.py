"""The keyring of the configuration, and the keys of its virtual proxies in it. Light: `rotator due` needs no more."""

import os
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING

from rotator.keystore import registry
from rotator.keystore.backends import open_store
from rotator.keystore.key_items import KeyItems
from rotator.model import Config, ProxySpec, Site
from rotator.state import directory, lock


if TYPE_CHECKING:
    from rotator.keystore.registry import Registry
    from rotator.ports import SecretStore


REGISTRY_WAIT = 10.0
"""Seconds to wait for another rotator that enters its site in the same keyring."""


class Keyring:
    """Opened at first use. Raises KeyStoreError, SecretUnavailable, InstallationMismatch."""

    def __init__(self, config: Config) -> None:
        self._config = config

    @cached_property
    def store(self) -> "SecretStore":
        """The configured keyring."""
        return open_store(self._config.keyring, os.environ)

    @cached_property
    def _registry(self) -> "Registry":
        """Whose keyring it is. State directory and keyring must belong together; either may be new."""
        found = registry.read(self.store)
        state = self._config.state
        agreed = directory.agreed(directory.installation(state), found.installation if found else None, state)
        return found or registry.Registry(agreed or registry.new_installation())

    def keystore(self, spec: ProxySpec) -> KeyItems:
        """The keys of one virtual proxy, for reading."""
        return self._items(self._registry, spec)

    def writable(self, spec: ProxySpec) -> KeyItems:
        """The same for writing: the site is entered in the registry, and the state directory marked as belonging."""
        site, state = self._config.sites[spec.site], self._config.state
        if self._settled(site):
            return self._items(self._registry, spec)
        with lock.held(state, "keyring", "registry", datetime.now(UTC), wait=REGISTRY_WAIT):
            found = registry.read(self.store) or self._registry
            entered = found.with_site(site.name, site.qrs)
            registry.write(self.store, entered)
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
        return KeyItems(self.store, entry.id if entry else site.name, spec.prefix)
