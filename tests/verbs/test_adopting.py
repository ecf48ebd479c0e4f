"""adopt: keys taken into care, and replaced."""

from worlds.by_hand import by_hand, certificate_of
from worlds.effects import Stroke
from worlds.rotators import adopting, replacing
from worlds.server import HOSTS
from worlds.telling import Story
from worlds.world import World


def test_adopting(story: Story, world: World) -> None:
    story.run("create-proxy")
    two = world.rotator("two")
    stranger = world.new_key()
    assert story.run("adopt", verb=adopting(stranger), who=two).exit == 1
    world.server.node(HOSTS[1]).down = True
    assert story.run("adopt", verb=adopting(world.made[0]), who=two).exit == 1
    world.server.node(HOSTS[1]).down = False
    assert story.run("adopt", verb=adopting(world.made[0]), who=two).exit == 0
    assert story.run("adopt", verb=adopting(world.made[0]), who=two).exit == 0
    story.run("rotate --now")
    story.run("adopt", verb=adopting(world.made[-1]), who=two)
    by_hand(world, certificate_of(world, 1))
    assert story.run("adopt", verb=adopting(world.made[0]), who=two).exit == 0
    assert story.run("rotate --now", who=two).exit == 0


def test_adopting_where_there_is_no_certificate_or_a_change_under_way(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --now", Stroke("PUT qrs", 1, "crash after"))
    assert story.run("adopt", verb=adopting(world.made[0])).exit == 1
    shown = str(world.shown())
    assert story.run("adopt", verb=replacing(shown, lost=False)).exit == 1
    story.run("rotate --now")
    by_hand(world, "")
    assert story.run("adopt", verb=adopting(world.made[0])).exit == 1
    assert story.run("adopt", verb=replacing("none", lost=False)).exit == 0


def test_replacing_the_key_of_a_stranger(story: Story, world: World) -> None:
    story.run("create-proxy")
    stranger = world.new_key()
    world.outside[stranger.fingerprint] = stranger
    by_hand(world, stranger.certificate("x", 30, world.timeline.present()))
    world.one.confirmed = stranger.fingerprint
    assert story.run("adopt", verb=replacing("", lost=False)).exit == 2
    assert story.run("adopt", Stroke("PUT qrs", 1, "403"), verb=replacing(stranger.fingerprint, lost=False)).exit == 1
    world.server.node(HOSTS[0]).stuck = True
    assert story.run("adopt", verb=replacing(stranger.fingerprint, lost=False)).exit == 1
    world.server.restart()
    assert story.run("adopt", verb=replacing(stranger.fingerprint, lost=False)).exit == 0
    assert story.run("rotate --now").exit == 0
