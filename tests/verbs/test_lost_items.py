"""A keyring that has lost an item or two: what the rest of it can still do, and what a person is told to do is what works."""

import pytest
from worlds.effects import Stroke
from worlds.losses import lose_certificate, lose_keys
from worlds.rotators import adopting, replacing
from worlds.server import HOSTS
from worlds.telling import Story
from worlds.world import World

from rotator.adoption import release
from rotator.keystore import registry
from rotator.model import Stage


def lose_certificate_of(world: World, stage: Stage) -> None:
    """The text of the certificate of the key of this stage, and nothing else."""
    version = world.one.ring().at(stage)
    assert version is not None
    lose_certificate(world, version.certificate)


def assert_each_certificate_is_there(world: World) -> None:
    """The ring names no text that the keyring has not."""
    items = world.one.keyring.items
    for version in world.one.ring().keys:
        assert any(f"/certificate/{version.certificate[:32]}" in name for name in items), version


def test_a_prepared_key_whose_certificate_is_lost(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --prepare")
    lose_certificate_of(world, Stage.PENDING)
    assert story.run("rotate --now").exit == 0
    assert world.shown() == world.made[-1].fingerprint
    assert_each_certificate_is_there(world)


def test_a_previous_key_whose_certificate_is_lost(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    lose_certificate_of(world, Stage.PREVIOUS)
    assert story.run("rollback").exit == 0
    assert world.shown() == world.made[0].fingerprint
    assert_each_certificate_is_there(world)


@pytest.mark.parametrize("command", ["rotate --now", "recover"])
def test_a_change_under_way_whose_certificate_is_lost(story: Story, world: World, command: str) -> None:
    story.run("create-proxy")
    assert story.run("rotate --now", Stroke("PUT qrs", 1, "crash before")).crashed
    lose_certificate_of(world, Stage.PENDING)
    assert story.run(command).exit == 0
    assert world.shown() == world.made[-1].fingerprint
    assert_each_certificate_is_there(world)


def test_a_current_key_whose_certificate_is_lost_is_put_back_all_the_same(story: Story, world: World) -> None:
    story.run("create-proxy")
    lose_certificate_of(world, Stage.CURRENT)
    world.server.delete(world.prefix)
    assert story.run("create-proxy").exit == 0
    assert world.shown() == world.made[0].fingerprint
    assert_each_certificate_is_there(world)


@pytest.mark.parametrize("way", ["replace-lost-key", "replace-key", "somebody has it", "release"])
def test_both_keys_of_a_change_under_way_lost(story: Story, world: World, way: str) -> None:
    story.run("create-proxy")
    assert story.run("rotate --now", Stroke("PUT qrs", 1, "crash after")).crashed
    lose_keys(world, *(key.fingerprint for key in world.made))
    shown = str(world.shown())
    world.one.confirmed = shown
    assert story.run("recover").exit == 4
    if way == "somebody has it":
        assert story.run("adopt", verb=adopting(world.made[-1])).exit == 0
    elif way == "release":
        assert story.run("release", verb=lambda scene: release(scene, None)).exit == 0
        return
    else:
        assert story.run("recover", verb=replacing(shown, lost=way == "replace-lost-key")).exit == 0
    assert story.run("verify").exit == 0
    assert story.run("rotate --now").exit == 0


def test_a_lost_key_is_replaced_and_the_new_one_verified(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    shown = str(world.shown())
    lose_keys(world, shown)
    assert story.run("recover").exit == 4
    world.one.confirmed = shown
    assert story.run("recover", verb=replacing(shown, lost=True)).exit == 0
    assert story.run("verify").exit == 0


def test_a_lost_previous_key_keeps_nothing_from_being_tested(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    lose_keys(world, world.made[0].fingerprint)
    assert story.run("verify").exit == 0
    assert story.run("recover").exit == 0
    assert story.run("rotate --now").exit == 0


def test_a_lost_key_of_a_virtual_proxy_that_was_deleted(story: Story, world: World) -> None:
    story.run("create-proxy")
    lose_keys(world, world.made[0].fingerprint)
    world.server.delete(world.prefix)
    assert story.run("create-proxy").exit == 4
    assert story.run("release", verb=lambda scene: release(scene, None)).exit == 0
    assert story.run("create-proxy").exit == 0


@pytest.mark.parametrize("command", ["rotate", "recover"])
def test_a_change_whose_way_back_is_lost_stays_where_somebody_can_log_in(
    story: Story, world: World, command: str
) -> None:
    """A proxy that is down is no reason to go back to a certificate whose key nobody has."""
    story.run("create-proxy")
    assert story.run("rotate --now", Stroke("PUT qrs", 1, "crash after")).crashed
    lose_keys(world, world.made[0].fingerprint)
    world.server.node(HOSTS[1]).down = True
    failed = story.run(command)
    assert (failed.exit, "does not give its key" in failed.message) == (4, True)
    assert world.shown() == world.made[1].fingerprint
    world.server.node(HOSTS[1]).down = False
    assert story.run(command).exit == 0
    world.check_logins()


def test_a_change_whose_way_back_is_lost_and_a_keyring_that_does_not_note_its_end(story: Story, world: World) -> None:
    story.run("create-proxy")
    assert story.run("rotate --now", Stroke("PUT qrs", 1, "crash after")).crashed
    lose_keys(world, world.made[0].fingerprint)
    failed = story.run("rotate", Stroke("set", 1, "refused"))
    assert (failed.exit, "it stays in place" in failed.message) == (4, True)
    assert story.run("recover").exit == 0
    world.check_logins()


def test_the_item_that_names_the_sites_is_lost_alone(story: Story, world: World) -> None:
    """The keys are there yet, under an id that the journal knows."""
    story.run("create-proxy")
    items = world.one.keyring.items
    world.lose_keyring(world.one, {name: text for name, text in items.items() if name != registry.ITEM})
    for command in ("verify", "rotate", "rotate --now", "recover"):
        assert story.run(command).exit == 0
    assert len({name.partition("/")[0] for name in world.one.keyring.items}) == 2


def test_a_change_whose_way_back_is_lost_and_whose_new_key_nobody_takes(story: Story, world: World) -> None:
    """Nothing is lost by going back: whoever has the old key may log in with it, and a person is told."""
    story.run("create-proxy")
    for host in HOSTS:
        world.server.node(host).stuck = True
    assert story.run("rotate --now", Stroke("PUT qrs", 1, "crash after")).crashed
    old = world.made[0].fingerprint
    lose_keys(world, old)
    failed = story.run("rotate")
    assert (failed.exit, "the old certificate is back, but the keyring does not give its key" in failed.message) == (
        4,
        True,
    )
    assert world.shown() == old
    world.server.restart()
    assert story.run("recover --replace-lost-key", verb=replacing(old, lost=True)).exit == 0
    world.check_logins()
