"""adopt: keys taken into care, and replaced."""

from worlds.by_hand import by_hand, certificate_of
from worlds.effects import Stroke
from worlds.rotators import adopting, replacing
from worlds.server import CERTIFICATE, HOSTS
from worlds.telling import Story
from worlds.world import World

from rotator.keys import inspect_certificate
from rotator.model import Stage


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


def test_a_certificate_of_another_hand_ends_when_it_says(story: Story, world: World) -> None:
    """`due` asks the keyring alone: the end of the certificate that is served has to stand there."""
    story.run("create-proxy")
    story.run("rotate --now")
    for number, verb in ((1, None), (2, adopting(world.made[1]))):
        by_hand(world, world.made[number - 1].certificate("of another hand", 40, world.timeline.present()))
        assert story.run("adopt" if verb else "recover", verb=verb).exit == 0
        current = world.one.ring().at(Stage.CURRENT)
        shown = world.server.virtual_proxy(world.prefix)
        assert current is not None
        assert shown is not None
        info = inspect_certificate(shown[CERTIFICATE])
        assert info is not None
        assert current.not_after == info.not_after
