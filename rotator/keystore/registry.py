"""One item that says whose keyring this is and which sites have keys in it.

Keys are found by the site, not by the name of its table: each site has an id of its own here, which its name or its
address leads to. So a table can be renamed, or the address change, without losing a key.
"""

import json
import secrets
import uuid
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from rotator.errors import KeyStoreCorrupt, KeyStoreError
from rotator.ports import SecretStore


ITEM: Final = "installation"
_VERSION: Final = 1
_HTTPS: Final = 443


@dataclass(frozen=True, slots=True)
class SiteEntry:
    """A site that has keys here: the id in item names, and the table's name and address that it was last known by."""

    id: str
    name: str
    qrs: str


@dataclass(frozen=True, slots=True)
class Registry:
    """Whose keyring it is, and its sites; `moved` names the keyring that its keys were moved to."""

    installation: str
    sites: tuple[SiteEntry, ...] = ()
    moved: str | None = None

    def find(self, name: str, qrs: str) -> SiteEntry | None:
        """The site of this name, else the one at this address."""
        named = next((site for site in self.sites if site.name == name), None)
        return named or next((site for site in self.sites if site.qrs == address(qrs)), None)

    def with_site(self, name: str, qrs: str, known: str | None = None) -> "Registry":
        """The registry in which this site is known by this name and address; under the id `known` where it is new here."""
        found = self.find(name, qrs)
        entry = SiteEntry(found.id if found else known or secrets.token_hex(6), name, address(qrs))
        return replace(self, sites=(*(site for site in self.sites if site != found), entry))


def address(qrs: str) -> str:
    """Host and port of a URL, in small letters: what stays the same however it is written."""
    parts = urlsplit(qrs)
    return f"{(parts.hostname or '').lower()}:{parts.port or _HTTPS}"


def read(store: SecretStore) -> Registry | None:
    """The registry, None in a keyring that rotator has not used. Raises KeyStoreCorrupt."""
    text = store.get(ITEM)
    if text is None:
        return None
    try:
        document = json.loads(text)
        if document["v"] > _VERSION:
            raise KeyStoreError("the keyring was written by a newer rotator", hint="upgrade rotator on this machine")
        sites = tuple(SiteEntry(str(site["id"]), str(site["name"]), str(site["qrs"])) for site in document["sites"])
        moved = document.get("moved")
        return Registry(str(document["installation"]), sites, None if moved is None else str(moved))
    except (ValueError, TypeError, KeyError):
        raise KeyStoreCorrupt(f"the item {ITEM} in the keyring is damaged", hint="restore it from a backup") from None


def write(store: SecretStore, registry: Registry) -> None:
    """Store the registry, read back and compared."""
    sites = [{"id": site.id, "name": site.name, "qrs": site.qrs} for site in registry.sites]
    told = {"v": _VERSION, "installation": registry.installation, "sites": sites}
    if registry.moved is not None:
        told["moved"] = registry.moved
    text = json.dumps(told, separators=(",", ":"))
    store.set(ITEM, text)
    if store.reopened().get(ITEM) != text:
        raise KeyStoreCorrupt(f"the keyring does not give back the item {ITEM} as it was stored", hint="rotator doctor")


def new_installation() -> str:
    """An id for an installation: the same in its keyring and in its state directory."""
    return uuid.uuid4().hex
