"""keys migrate of a keyring that has lost an item: what rotator can do without does not keep the rest where it is."""

from dataclasses import replace
from types import MappingProxyType

import pytest
from worlds.effects import Stroke
from worlds.keyring import INDEX, KEY, MemoryKeyring
from worlds.world import World

from rotator.errors import KeyNotFound, KeyStoreCorrupt
from rotator.keystore import registry
from rotator.keystore.migration import Migration
from rotator.model import Stage
from rotator.recorded import Unrecorded


def migrated(world: World, source: MemoryKeyring, target: MemoryKeyring, *, delete_source: bool = False) -> int:
    """How many items were copied."""
    moved = Migration(world.one.config, source, target, "the other", Unrecorded()).run(delete_source=delete_source)
    return sum(item.copied for item in moved)


def copy_of(world: World) -> MemoryKeyring:
    copy = MemoryKeyring()
    copy.items = dict(world.one.keyring.items)
    return copy


def rotated(world: World) -> None:
    """A current, a previous, a retired and a prepared key."""
    for command in ("create-proxy", "rotate --now", "rotate --now", "rotate --prepare"):
        assert world.one.run(command).exit == 0


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("what", ["current text", "previous text", "pending text", "previous", "retired", "pending"])
def test_a_loss_goes_along(world: World, what: str, damaged: bool) -> None:
    rotated(world)
    stage, *text = what.split()
    version = world.one.ring().at(Stage(stage))
    assert version is not None
    part = version.certificate[:32] if text else f"{KEY}{version.item}"
    source, target = copy_of(world), MemoryKeyring()
    lost = next(name for name in source.items if name.endswith(part))
    left = {name: text for name, text in source.items.items() if name != lost}
    source.items = {**left, lost: "rubbish"} if damaged else dict(left)
    assert migrated(world, source, target) > 0
    assert target.items == left
    assert migrated(world, source, target, delete_source=True) == 0
    world.lose_keyring(world.one, target.items)
    for command in ("verify", "rotate --now", "verify"):
        ended = world.one.run(command)
        assert ended.exit == 0, ended.message


@pytest.mark.parametrize("damaged", [False, True])
def test_a_lost_current_key_stays_with_the_rest(world: World, damaged: bool) -> None:
    rotated(world)
    source, target = copy_of(world), MemoryKeyring()
    current = world.one.ring().at(Stage.CURRENT)
    assert current is not None
    name = next(name for name in source.items if name.endswith(f"{KEY}{current.item}"))
    if damaged:
        source.items[name] = "rubbish"
    else:
        del source.items[name]
    said = "the current key .* is damaged" if damaged else "the current key .* is not in the keyring"
    with pytest.raises(KeyStoreCorrupt if damaged else KeyNotFound, match=f"portal: {said}") as caught:
        migrated(world, source, target)
    assert "rotator recover portal" in (caught.value.hint or "")
    assert target.items == {}


@pytest.mark.parametrize("command", ["rotate --now", "rollback"])
def test_what_a_change_under_way_has_lost_is_put_in_order_first(world: World, command: str) -> None:
    for done in ("create-proxy", "rotate --now"):
        world.one.run(done)
    assert world.one.run(command, [Stroke("PUT qrs", 1, "crash before")]).crashed
    intent = world.one.ring().intent
    assert intent is not None
    items = world.one.keyring.items
    world.lose_keyring(world.one, {name: text for name, text in items.items() if f"-{intent.after[:12]}" not in name})
    target = MemoryKeyring()
    with pytest.raises(KeyNotFound, match="is not in the keyring") as caught:
        migrated(world, copy_of(world), target)
    assert "rotator recover portal" in (caught.value.hint or "")
    assert target.items == {}
    assert world.one.run("recover").exit == 0
    assert migrated(world, copy_of(world), target) > 0


def test_what_the_target_has_lost_since_is_copied_again_before_it_is_deleted_here(world: World) -> None:
    rotated(world)
    source, target = copy_of(world), MemoryKeyring()
    migrated(world, source, target)
    whole = dict(target.items)
    previous = world.one.ring().at(Stage.PREVIOUS)
    assert previous is not None
    for part in (previous.item, previous.certificate[:32]):
        del target.items[next(name for name in target.items if part in name and not name.endswith(INDEX))]
    assert migrated(world, source, target, delete_source=True) == 2
    assert target.items == whole
    assert set(source.items) == {registry.ITEM}


def test_a_target_that_forgets_what_rotator_could_do_without_is_noticed_all_the_same(world: World) -> None:
    rotated(world)
    source, target = copy_of(world), MemoryKeyring()
    previous = world.one.ring().at(Stage.PREVIOUS)
    assert previous is not None

    def stored(name: str, _text: str) -> None:
        if name.endswith(INDEX):
            del target.items[next(name for name in target.items if name.endswith(f"{KEY}{previous.item}"))]

    target.stored = stored
    whole = dict(source.items)
    with pytest.raises(KeyStoreCorrupt, match=r"the keyring the other does not give back the item .*/key/"):
        migrated(world, source, target, delete_source=True)
    assert source.items == whole


@pytest.mark.parametrize("deleted", [False, True])
def test_a_site_that_an_earlier_run_did_not_know_moves_by_the_next(world: World, deleted: bool) -> None:
    rotated(world)
    source, target = copy_of(world), MemoryKeyring()
    one, (base, *_) = world.one, (name.removesuffix(INDEX) for name in source.items if name.endswith(INDEX))
    theirs = {name.replace(base, "b0b0/second"): text for name, text in source.items.items() if name.startswith(base)}
    migrated(world, source, target, delete_source=deleted)
    before = dict(target.items)
    site, spec = replace(one.site, name="second", qrs="https://second"), replace(one.spec, site="second", name="second")
    both = replace(
        one.config,
        sites=MappingProxyType({**one.config.sites, "second": site}),
        proxies=MappingProxyType({**one.config.proxies, "second": replace(spec, prefix="second")}),
    )
    found = registry.read(source)
    assert found is not None
    registry.write(source, found.with_site(site.name, site.qrs, "b0b0"))
    source.items |= theirs
    Migration(both, source, target, "the other", Unrecorded()).run(delete_source=True)
    entered = registry.read(target)
    assert (entered is not None and entered.find("second", ""), entered and entered.moved) == (
        registry.SiteEntry("b0b0", "second", "second:443"),
        None,
    )
    assert {**target.items, registry.ITEM: ""} == {**before, **theirs, registry.ITEM: ""}
    assert set(source.items) == {registry.ITEM}
