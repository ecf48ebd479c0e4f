"""All that a configuration has in its keyring, moved to another keyring: copied, proven there, and only then deleted here.

The registry is copied first, so that the target belongs to this installation from its first item on; of each virtual
proxy the ring is copied last. Texts are copied as they are, so that generations, stages and open intents stay. Cut short,
the next run goes on: what is there already is left as it is. Before the first item of the source is deleted its registry
says where the keys are now, so that nobody works with half a keyring.

What the source has lost does not keep the rest there, if rotator can do without: a previous or retired key, a prepared
one, the text of a certificate, which it makes anew. The target then has what the source has.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from rotator.errors import (
    ConfigError,
    InstallationMismatch,
    KeyNotFound,
    KeyStoreCorrupt,
    KeyStoreError,
    Refused,
)
from rotator.keystore import inventory, registry
from rotator.keystore.key_items import KeyItems
from rotator.keystore.registry import Registry
from rotator.model import Config, ProxySpec, Ring
from rotator.planning.migration import Move, move, needed
from rotator.ports import Journal, SecretStore


@dataclass(frozen=True, slots=True)
class Moved:
    """One virtual proxy in the target: `ring` as it is there, `copied` the number of items that had to be written."""

    spec: ProxySpec
    ring: Ring
    copied: int


@dataclass(frozen=True, slots=True)
class _Planned:
    spec: ProxySpec
    here: KeyItems
    there: KeyItems
    move: Move


class Migration:
    """From the keyring of `config` to `target`, which `called` names. Every lock is held by the caller."""

    def __init__(self, config: Config, source: SecretStore, target: SecretStore, called: str, journal: Journal) -> None:
        self._config = config
        self._source = source
        self._target = target
        self._called = called
        self._journal = journal

    def run(self, *, delete_source: bool) -> tuple[Moved, ...]:
        """Copy and prove; with `delete_source` delete then. Raises KeyStoreError, Refused, InstallationMismatch.

        Nothing is written before every key of the source has been read, and those that are needed proven.
        """
        found = self._registry()
        planned = self._planned(found, deleting=delete_source or found.moved is not None)
        if found.moved is None:
            for item in planned:
                ring = item.here.ring()
                _check(item.spec, item.here, ring, item.here.lost(ring))
        self._claim(found)
        moved = tuple(self._moved(item) for item in planned if item.move is not Move.NOTHING)
        self._copy_secrets()
        if delete_source:
            self._delete(found, planned)
        return moved

    def _registry(self) -> Registry:
        """Whose keys they are. Raises where there are none, or where the target belongs to another installation."""
        found, theirs = registry.read(self._source), registry.read(self._target)
        if found is None:
            raise KeyNotFound(
                "the keyring of the configuration holds nothing of rotator's",
                hint="is it the right keyring, and the right account? see [keyring]",
            )
        if found.moved not in (None, self._called):
            raise ConfigError(
                f"the keys were moved to {found.moved} by an earlier run, not to {self._called}",
                hint="name that keyring in [keyring], and migrate from there",
            )
        if theirs is not None and theirs.installation != found.installation:
            raise InstallationMismatch(
                f"the keyring {self._called} belongs to another installation of rotator",
                hint="name one that is empty, or that an earlier run of this command began to fill",
            )
        return found

    def _planned(self, found: Registry, *, deleting: bool) -> list[_Planned]:
        there = {spec.name: items for spec, items in inventory.rings(self._target, self._wanted(found), self._config)}
        planned = []
        for spec, items in inventory.rings(self._source, found, self._config):
            ring, target = items.ring(), there[spec.name]
            planned.append(_Planned(spec, items, target, move(spec.name, ring, target.ring(), deleting=deleting)))
        return planned

    def _claim(self, found: Registry) -> None:
        """The registry in the target, as it is wanted there."""
        wanted = self._wanted(found)
        if registry.read(self._target) != wanted:
            with self._journal.effect("store item", registry.ITEM):
                registry.write(self._target, wanted)

    def _wanted(self, found: Registry) -> Registry:
        """The registry of the target: the sites of both keyrings, each as the one that is in use knows it."""
        theirs = registry.read(self._target) or replace(found, sites=(), moved=None)
        first, other = (found, theirs) if found.moved is None else (theirs, found)
        ids = {site.id for site in first.sites}
        return replace(first, sites=(*first.sites, *(site for site in other.sites if site.id not in ids)))

    def _moved(self, item: _Planned) -> Moved:
        """One virtual proxy copied, where it has to be, and proven in the target through a new connection.

        Where an earlier run has copied it, what the target has lost since is copied again.
        """
        copied = 0
        ring = item.here.ring() if item.move is Move.COPY else item.there.ring()
        lost = item.here.lost(ring)
        names = item.here.names(ring) if item.move is Move.COPY else tuple(item.there.lost(ring))
        wanted = [name for name in names if name not in lost]
        if wanted:
            with self._journal.step(f"copy {item.spec.name}"):
                copied = sum(self._copy(name) for name in wanted)
        with self._journal.step(f"prove {item.spec.name}"):
            again = item.there.reopened()
            if again.ring() != ring:
                raise KeyStoreCorrupt(
                    f"the keyring {self._called} does not give back the ring of {item.spec.name} as it was stored",
                    hint="nothing was deleted; see that it is durable and unlocked, then run it again",
                )
            missing = again.lost(ring)
            _check(item.spec, again, ring, missing)
            strange = sorted(missing.keys() - lost.keys())
            if strange:
                raise self._not_given_back(strange[0])
        return Moved(item.spec, ring, copied)

    def _copy(self, name: str) -> bool:
        """One item, unless it is there already. Returns whether it was written."""
        text = self._source.get(name)
        if text is None or self._target.get(name) == text:
            return False
        with self._journal.effect("store item", name):
            self._target.set(name, text)
        if self._target.reopened().get(name) != text:
            raise self._not_given_back(name)
        return True

    def _not_given_back(self, name: str) -> KeyStoreCorrupt:
        return KeyStoreCorrupt(
            f"the keyring {self._called} does not give back the item {name} as it was stored",
            hint="nothing was deleted; see that it is durable and unlocked, then run it again",
        )

    def _copy_secrets(self) -> None:
        names = inventory.secrets(self._config)
        if names:
            with self._journal.step("copy secrets"):
                for name in names:
                    self._copy(name)

    def _delete(self, found: Registry, planned: list[_Planned]) -> None:
        """Everything in the source but its registry, which says where the keys are."""
        known = [found.find(site.name, site.qrs) for site in self._config.sites.values()]
        strange = [site.name for site in found.sites if site not in known]
        if strange:
            raise Refused(
                f"the keyring has keys of {', '.join(strange)} too, which the configuration does not name: nothing was deleted",
                hint="the keys are in the target, and the source is as it was; delete it once nothing else uses it",
            )
        if found.moved is None:
            with self._journal.effect("store item", registry.ITEM):
                registry.write(self._source, replace(found, moved=self._called))
        for item in planned:
            with self._journal.step(f"delete {item.spec.name}"):
                item.here.clear()
        for name in inventory.secrets(self._config):
            with self._journal.effect("delete item", name):
                self._source.delete(name)


def _check(spec: ProxySpec, items: KeyItems, ring: Ring, lost: Mapping[str, KeyStoreError]) -> None:
    """Raise where a key is among the lost that the ring cannot do without."""
    for version in needed(ring):
        error = lost.get(items.key_name(version))
        if error is not None:
            raise type(error)(
                f"{spec.name}: {error.message}", hint=f"put the keys in order first: rotator recover {spec.name}"
            )
