"""What a configuration has in its keyring: the names of all its items, which no keyring lists by itself."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

from rotator.keystore import registry
from rotator.keystore.key_items import KeyItems
from rotator.keystore.registry import Registry
from rotator.keystore.secret_refs import item
from rotator.model import Config, ProxySpec, SecretKind, SecretRef
from rotator.ports import SecretStore


def secrets(config: Config) -> tuple[str, ...]:
    """The items of all `keyring:NAME` that the configuration refers to."""
    found = {reference.name for reference in _references(config) if reference.kind is SecretKind.KEYRING}
    return tuple(item(name) for name in sorted(found))


def _references(value: object) -> Iterator[SecretRef]:
    """Every secret reference in a value, however deep."""
    if isinstance(value, SecretRef):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from _references(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, tuple):
        for part in value:
            yield from _references(part)


def rings(store: SecretStore, found: Registry | None, config: Config) -> tuple[tuple[ProxySpec, KeyItems], ...]:
    """The keys of every virtual proxy of the configuration that this registry's keyring can have keys of."""
    made = []
    for spec in config.proxies.values():
        site = config.sites[spec.site]
        entry = found.find(site.name, site.qrs) if found else None
        if entry is not None:
            made.append((spec, KeyItems(store, entry.id, spec.prefix)))
    return tuple(made)


def names(store: SecretStore, config: Config) -> tuple[str, ...]:
    """The names of all items of a configuration."""
    of_rings = [name for _, items in rings(store, registry.read(store), config) for name in items.names(items.ring())]
    return (registry.ITEM, *secrets(config), *of_rings)
