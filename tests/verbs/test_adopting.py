"""adopt: keys taken into care, and replaced."""

from worlds.by_hand import by_hand, certificate_of
from worlds.effects import Stroke
from worlds.rotators import adopting, replacing
from worlds.server import CERTIFICATE, HOSTS
from worlds.telling import Story
from worlds.world import World

from rotator.keys import PrivateKey, inspect_certificate
from rotator.model import Stage


def in_place_of_ours(world: World) -> PrivateKey:
    """The key of a stranger, which the server shows, and whose replacement is confirmed."""
    stranger = world.new_key()
    world.outside[stranger.fingerprint] = stranger
    by_hand(world, stranger.certificate("x", 30, world.timeline.present()))
    world.one.confirmed = stranger.fingerprint
    return stranger


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
    stranger = in_place_of_ours(world)
    assert story.run("adopt", verb=replacing("", lost=False)).exit == 2
    assert story.run("adopt", Stroke("PUT qrs", 1, "403"), verb=replacing(stranger.fingerprint, lost=False)).exit == 1
    world.server.node(HOSTS[0]).stuck = True
    assert story.run("adopt", verb=replacing(stranger.fingerprint, lost=False)).exit == 1
    world.server.restart()
    assert story.run("adopt", verb=replacing(stranger.fingerprint, lost=False)).exit == 0
    assert story.run("rotate --now").exit == 0


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


def test_a_replacement_that_the_current_key_has_overtaken(story: Story, world: World) -> None:
    """Somebody puts the current key back while a stranger's is being replaced."""
    story.run("create-proxy")
    stranger = in_place_of_ours(world)
    replaced = replacing(stranger.fingerprint, lost=False)
    assert story.run("adopt", Stroke("PUT qrs", 1, "crash before"), verb=replaced).crashed
    by_hand(world, certificate_of(world, 1))
    ended = story.run("rotate")
    assert ended.exit == 4
    assert "somebody put the current certificate back" in ended.message
    assert story.run("adopt", verb=adopting(world.made[0])).exit == 0
    assert world.one.ring().intent is None
    assert story.run("rotate --now").exit == 0


def test_a_key_that_was_sent_in_vain_is_not_tried_for_something_else(story: Story, world: World) -> None:
    """It may still land late: were the second attempt given up, it would be taken for one that was never sent."""
    story.run("create-proxy")
    assert story.run("rotate --now", Stroke("PUT qrs", 1, "away")).exit == 4
    stranger = in_place_of_ours(world)
    replaced = replacing(stranger.fingerprint, lost=False)
    assert story.run("adopt", Stroke("PUT qrs", 1, "403"), verb=replaced).exit == 1
    sent = world.one.ring().known(world.made[1].fingerprint)
    assert sent is not None
    assert (sent.stage, sent.sent) == (Stage.RETIRED, True)
    assert story.run("adopt", verb=adopting(stranger)).exit == 0
    story.run("keys prune")
    assert world.made[1].fingerprint in world.one.keyring.fingerprints()
