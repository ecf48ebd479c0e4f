"""release: keys given up, unless the server says that somebody logs in with one that nobody would have any more."""

from dataclasses import replace

import pytest
from worlds.by_hand import by_hand, certificate_of, let_see
from worlds.effects import Stroke
from worlds.hooks import hook
from worlds.keyring import KEY
from worlds.rotators import Ended, Verb, replacing
from worlds.server import HOSTS
from worlds.telling import Story
from worlds.world import World

from rotator.adoption import release
from rotator.keys import PrivateKey


def alone(story: Story, *strokes: Stroke) -> Ended:
    return story.run("release", *strokes, verb=lambda scene: release(scene, None))


def taking(world: World) -> Verb:
    """The current key goes into a file, where somebody has it from then on."""

    def take(key: PrivateKey) -> None:
        world.outside[key.fingerprint] = key

    return lambda scene: release(scene, take)


def taken(story: Story, world: World, *strokes: Stroke) -> Ended:
    return story.run("release --private-to FILE", *strokes, verb=taking(world))


def given_to(world: World, key: PrivateKey) -> str:
    """A key becomes somebody's own; its certificate."""
    world.outside[key.fingerprint] = key
    return key.certificate("x", 30, world.timeline.present())


def lose_key(world: World, key: PrivateKey) -> None:
    items = world.one.keyring.items
    kept = {name: text for name, text in items.items() if KEY not in name or f"-{key.fingerprint[:12]}" not in name}
    assert len(kept) == len(items) - 1
    world.lose_keyring(world.one, kept)


def assert_released(ended: Ended, world: World) -> None:
    assert ended.exit == 0, ended.message
    assert set(world.one.keyring.items) == {"installation"}
    world.watch()


def test_releasing(story: Story, world: World) -> None:
    assert alone(story).exit == 0
    story.run("create-proxy")
    story.run("rotate --now", Stroke("PUT qrs", 1, "crash after"))
    assert alone(story).exit == 1
    story.run("rotate --now")
    assert_released(taken(story, world), world)
    assert set(world.outside) == {world.shown()}


def test_releasing_a_key_that_consumers_have(story: Story, world: World) -> None:
    story.run("create-proxy")
    given_to(world, world.made[0])
    assert_released(alone(story), world)


def test_a_key_that_somebody_put_back_is_not_deleted_unseen(story: Story, world: World) -> None:
    """The key in the file would be one that every proxy refuses, and the one that logs in would be gone."""
    story.run("create-proxy")
    story.run("rotate --now")
    by_hand(world, certificate_of(world, 1))
    for ended in (taken(story, world), alone(story)):
        assert ended.exit == 4
        assert "rotator recover portal" in ended.hint
        assert len(world.one.keyring.fingerprints()) == 2
    assert not world.outside
    assert story.run("recover").exit == 0
    assert_released(taken(story, world), world)
    assert set(world.outside) == {world.made[0].fingerprint}


def test_a_key_that_is_served_and_lost_keeps_nothing(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    by_hand(world, certificate_of(world, 1))
    lose_key(world, world.made[0])
    assert_released(alone(story), world)


@pytest.mark.parametrize("what", ["foreign", "empty", "deleted"])
def test_where_none_of_its_keys_is_served(story: Story, world: World, what: str) -> None:
    """An undelivered key is none that anybody waits for then."""
    story.run("create-proxy")
    hook(world, 3)
    assert story.run("rotate --now").exit == 5
    assert alone(story).exit == 1
    if what == "deleted":
        world.server.delete(world.prefix)
    else:
        by_hand(world, given_to(world, world.new_key()) if what == "foreign" else "")
    assert_released(alone(story), world)


def test_an_undelivered_key_that_is_lost(story: Story, world: World) -> None:
    story.run("create-proxy")
    hook(world, 3)
    assert story.run("rotate --now").exit == 5
    lose_key(world, world.made[1])
    assert_released(alone(story), world)


def test_a_first_key_that_never_logs_in(story: Story, world: World) -> None:
    for host in HOSTS:
        world.server.node(host).stuck = True
    assert story.run("create-proxy").exit == 1
    refused = alone(story)
    assert refused.exit == 1
    assert "delete the virtual proxy in the QMC, then rotator release portal" in refused.hint
    world.server.delete(world.prefix)
    assert_released(alone(story), world)


@pytest.mark.parametrize("what", ["foreign", "deleted", "key lost"])
def test_a_change_under_way_that_nothing_can_end(story: Story, world: World, what: str) -> None:
    story.run("create-proxy")
    assert story.run("rotate --now", Stroke("PUT qrs", 1, "crash before")).crashed
    assert alone(story).exit == 1
    if what == "foreign":
        by_hand(world, given_to(world, world.new_key()))
    else:
        world.server.delete(world.prefix)
    if what == "key lost":
        lose_key(world, world.made[0])
    for command in ("rotate", "recover"):
        assert story.run(command).exit == 4
    assert_released(alone(story), world)


def test_a_change_under_way_that_a_key_of_ours_overtook(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    assert story.run("rotate --now", Stroke("PUT qrs", 1, "crash before")).crashed
    by_hand(world, certificate_of(world, 1))
    assert taken(story, world).exit == 4
    assert story.run("recover").exit == 0
    assert_released(taken(story, world), world)
    assert set(world.outside) == {world.made[0].fingerprint}


def test_a_replacement_under_way_where_the_current_key_is_back(story: Story, world: World) -> None:
    story.run("create-proxy")
    stranger = world.new_key()
    by_hand(world, given_to(world, stranger))
    world.one.confirmed = stranger.fingerprint
    replaced = replacing(stranger.fingerprint, lost=False)
    assert story.run("adopt", Stroke("PUT qrs", 1, "crash before"), verb=replaced).crashed
    by_hand(world, certificate_of(world, 1))
    assert_released(taken(story, world), world)
    assert world.made[0].fingerprint in world.outside


@pytest.mark.parametrize("act", ["503", "refused", "403"])
def test_a_server_that_cannot_be_asked(story: Story, world: World, act: str) -> None:
    """Any key may be the one that logs in; whoever gives a site up for good keeps the likeliest."""
    silent = Stroke("GET qrs", 1, act, times=99)
    story.run("create-proxy")
    story.run("rotate --now")
    refused = alone(story, silent)
    assert refused.exit == 1
    assert "rotator release portal --private-to FILE keeps the current key" in refused.hint
    assert len(world.one.keyring.fingerprints()) == 2
    assert_released(taken(story, world, silent), world)
    assert set(world.outside) == {world.shown()}


def test_a_server_that_shows_a_caller_nothing_cannot_be_asked(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.one.user = r"INTERNAL\nobody"
    assert alone(story).exit == 1
    assert world.one.keyring.fingerprints()


@pytest.mark.parametrize("what", ["change under way", "key lost", "first key"])
def test_a_server_that_cannot_be_asked_where_no_key_is_known_to_log_in(story: Story, world: World, what: str) -> None:
    if what == "first key":
        story.run("create-proxy", Stroke("POST qrs", 1, "crash after"))
    else:
        story.run("create-proxy")
        story.run("rotate --now", *[Stroke("PUT qrs", 1, "crash after")] * (what == "change under way"))
    if what == "key lost":
        lose_key(world, world.made[1])
    held = world.one.keyring.fingerprints()
    for ended in (
        alone(story, Stroke("GET qrs", 1, "refused", times=99)),
        taken(story, world, Stroke("GET qrs", 1, "refused", times=99)),
    ):
        assert ended.exit == 1
        assert "take [proxy.portal] out of the configuration" in ended.hint
        assert world.one.keyring.fingerprints() == held
    assert not world.outside


@pytest.mark.parametrize("what", ["not to be seen", "renamed"])
def test_a_virtual_proxy_that_no_list_shows_is_not_gone(story: Story, world: World, what: str) -> None:
    """The key that was sent last is the one that logs in, whatever the prefix."""
    story.run("create-proxy")
    assert story.run("rotate --now", Stroke("PUT qrs", 1, "crash after")).crashed
    found = world.server.virtual_proxy(world.prefix)
    assert found is not None
    if what == "renamed":
        world.server.repository.replace(found["id"], {**found, "prefix": "moved"}, "CORP\\admin")
    else:
        let_see(world, "nobody", "ProxyService")
        world.one.user = r"INTERNAL\nobody"
    assert alone(story).exit == 1
    assert len(world.one.keyring.fingerprints()) == 2


def test_the_key_of_the_way_to_the_repository_is_not_lost(story: Story, world: World) -> None:
    def on_the_branch(verb: Verb) -> Verb:
        return lambda scene: verb(replace(scene, way=world.prefix))

    story.run("create-proxy")
    kept = dict(world.one.keyring.items)
    assert story.run("release", verb=on_the_branch(lambda scene: release(scene, None))).exit == 1
    assert world.one.keyring.items == kept
    assert_released(story.run("release --private-to FILE", verb=on_the_branch(taking(world))), world)
