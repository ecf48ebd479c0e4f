"""keys prune: what goes for good, and what stays."""

from dataclasses import replace
from types import MappingProxyType

import pytest
from worlds.by_hand import by_hand, certificate_of
from worlds.effects import Stroke
from worlds.rotators import Verb, adopting
from worlds.server import HOSTS
from worlds.telling import Story
from worlds.world import World

from rotator.model import ProbeRoute
from rotator.recovery import prune


def pruning(keep: int) -> Verb:
    return lambda scene: prune(scene, keep)


def test_pruning(story: Story, world: World) -> None:
    story.run("create-proxy")
    for _ in range(5):
        story.run("rotate --now")
    assert story.run("keys prune", verb=pruning(0)).exit == 0
    world.timeline.elapse(7 * 86400 - 60)
    story.run("keys prune", verb=pruning(0))
    world.timeline.elapse(120)
    story.run("keys prune", verb=pruning(2))
    story.run("keys prune", Stroke("GET qrs", 1, "503", times=9), verb=pruning(0))
    story.run("keys prune", Stroke("delete", 2, "crash before"), verb=pruning(0))
    story.run("keys prune", Stroke("set", 1, "crash before"), verb=pruning(0))
    story.run("keys prune", verb=pruning(0))
    story.run("keys prune", verb=pruning(0))


def test_pruning_spares_what_could_come_back(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --now", Stroke("PUT qrs", 1, "late", times=9))
    story.run("rotate --now", Stroke("PUT qrs", 1, "403", times=9))
    world.timeline.elapse(5 * 86400)
    world.one.clock.offset = 9 * 86400
    story.run("keys prune")
    world.watch()
    world.one.clock.offset = 0
    story.run("rotate --now")
    story.run("rotate --now")
    world.one.clock.offset = 30 * 86400
    by_hand(world, certificate_of(world, 1))
    story.run("keys prune")
    world.watch()


def test_a_key_that_a_proxy_still_takes_stays(story: Story, world: World) -> None:
    story.run("create-proxy")
    for _ in range(3):
        story.run("rotate --now")
    by_hand(world, certificate_of(world, 2))
    world.server.node(HOSTS[1]).stuck = True
    by_hand(world, certificate_of(world, 4))
    world.timeline.elapse(9 * 86400)
    ended = story.run("keys prune", verb=pruning(0))
    assert ended.result is not None
    assert "2 of them may still log in somewhere" in ended.result.message
    world.server.node(HOSTS[1]).stuck = False
    world.server.restart()
    ended = story.run("keys prune", verb=pruning(0))
    assert ended.result is not None
    assert ended.result.message == "2 retired keys deleted, 2 keys kept"


@pytest.mark.parametrize("way", ["recover", "adopt"])
def test_a_key_that_somebody_put_in_place_counts_as_sent(story: Story, world: World, way: str) -> None:
    """A prepared key whose certificate never went through rotator: a proxy may serve it all the same, later too."""
    story.run("create-proxy")
    assert story.run("rotate --prepare").exit == 0
    by_hand(world, certificate_of(world, 2))
    if way == "recover":
        assert story.run("recover").exit == 0
    else:
        assert story.run("adopt", verb=adopting(world.made[1])).exit == 0
    for _ in range(2):
        assert story.run("rotate --now").exit == 0
    by_hand(world, certificate_of(world, 2))
    world.server.node(HOSTS[1]).stuck = True
    by_hand(world, certificate_of(world, 4))
    for days in (0, 8):
        world.timeline.elapse(days * 86400)
        assert story.run("keys prune", verb=pruning(0)).exit == 0
        assert world.made[1].fingerprint in world.one.keyring.fingerprints()


def test_nothing_that_was_sent_goes_where_no_proxy_is_asked(story: Story, world: World) -> None:
    story.run("create-proxy")
    for _ in range(3):
        story.run("rotate --now")
    world.timeline.elapse(9 * 86400)
    unasked = {host: ProbeRoute(skip=True) for host in HOSTS}
    world.one.site = replace(world.one.site, probe=MappingProxyType(unasked))
    ended = story.run("keys prune", verb=pruning(0))
    assert ended.result is not None
    assert ended.result.extra["deleted"] == []
