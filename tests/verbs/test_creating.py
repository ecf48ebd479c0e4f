"""create-proxy: created, repaired, cut short, and a first key that fails."""

from dataclasses import replace

import pytest
from worlds.by_hand import by_hand, certificate_of
from worlds.effects import Stroke
from worlds.server import HOSTS
from worlds.telling import Story
from worlds.world import World

from rotator.provisioning import create_proxy
from rotator.scene import Scene


def test_a_certificate_that_is_back_before_its_restoration(story: Story, world: World) -> None:
    story.run("create-proxy")
    text = certificate_of(world, 1)
    by_hand(world, "")
    back = Stroke("PUT qrs", 1, None, meanwhile=lambda: by_hand(world, text))
    assert story.run("create-proxy", back, verb=create_proxy).exit == 0


def planned(scene: Scene) -> object:
    return create_proxy(scene, plan_only=True)


def test_creating_and_repairing(story: Story, world: World) -> None:
    story.run("create-proxy --plan", verb=planned, looking=True)  # type: ignore[arg-type]
    assert story.run("create-proxy").exit == 0
    assert story.run("create-proxy").exit == 0
    by_hand(world, "")
    assert story.run("create-proxy").exit == 0
    world.server.relink(world.prefix, HOSTS[:1])
    assert story.run("create-proxy").exit == 0
    world.server.delete(world.prefix)
    story.run("create-proxy --plan", verb=planned, looking=True)  # type: ignore[arg-type]
    assert story.run("create-proxy").exit == 0
    world.one.spec = replace(
        world.one.spec, description="Another", audience="qlik", named=frozenset({"description", "audience"})
    )
    assert story.run("create-proxy", verb=create_proxy).exit == 0


def test_links_that_somebody_takes_away_meanwhile_are_told(story: Story, world: World) -> None:
    central = Stroke("PUT qrs", 2, None, meanwhile=lambda: world.server.unlink(HOSTS[0]))
    assert story.run("create-proxy", central).exit == 1
    assert story.run("create-proxy").exit == 0


@pytest.mark.parametrize("label", ["POST qrs", "PUT qrs", "GET qrs", "set"])
@pytest.mark.parametrize("act", ["crash before", "crash after", "lost", "late", "garbled", "refused", "409", "403"])
def test_creating_cut_short(story: Story, world: World, label: str, act: str) -> None:
    for nth in (1, 2, 3):
        story.run("create-proxy", Stroke(label, nth, act))
        world.watch()
    assert story.run("create-proxy").exit == 0


@pytest.mark.parametrize("nth", [4, 5, 6, 7])
def test_a_server_that_is_gone_after_a_post_without_an_answer(story: Story, world: World, nth: int) -> None:
    """The key that was sent stays: that nobody listens now says nothing of what was sent before."""
    gone = Stroke("GET qrs", nth, "refused", times=99)
    story.run("create-proxy", Stroke("POST qrs", 1, "lost"), gone)
    for fingerprint in filter(None, [world.shown()]):
        assert fingerprint in world.one.keyring.fingerprints()
    assert story.run("create-proxy").exit == 0
    assert world.shown() == world.made[0].fingerprint


def test_the_first_key_fails_its_test(story: Story, world: World) -> None:
    world.server.node(HOSTS[1]).stuck = True
    assert story.run("create-proxy").exit == 1
    story.run("rotate --now")
    story.run("rotate")
    world.server.restart()
    assert story.run("create-proxy").exit == 0
