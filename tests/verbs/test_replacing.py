"""A fresh key in place of one that nobody has any more: no login can prove that going back helps."""

import pytest
from worlds.by_hand import by_hand, certificate_of
from worlds.effects import Stroke
from worlds.losses import lose_certificate, lose_keys
from worlds.rotators import adopting, replacing
from worlds.server import HOSTS
from worlds.telling import Story
from worlds.world import World

from rotator.adoption import release
from rotator.errors import UndoFailed
from rotator.keys import PrivateKey
from rotator.model import Stage


def in_place_of_ours(world: World) -> PrivateKey:
    """The key of a stranger, which the server shows, and whose replacement is confirmed."""
    stranger = world.new_key()
    world.outside[stranger.fingerprint] = stranger
    by_hand(world, stranger.certificate("x", 30, world.timeline.present()))
    world.one.confirmed = stranger.fingerprint
    return stranger


def cut_short_where_all_refuse(story: Story, world: World, cut: Stroke) -> str:
    """The replacement of a stranger's key, whose fingerprint is given back; no proxy takes the change."""
    story.run("create-proxy")
    shown = in_place_of_ours(world).fingerprint
    for host in HOSTS:
        world.server.node(host).stuck = True
    assert story.run("adopt --replace-key", cut, verb=replacing(shown, lost=False)).crashed
    return shown


def test_replacing_the_key_of_a_stranger(story: Story, world: World) -> None:
    story.run("create-proxy")
    stranger = in_place_of_ours(world)
    assert story.run("adopt", verb=replacing("", lost=False)).exit == 2
    assert story.run("adopt", Stroke("PUT qrs", 1, "403"), verb=replacing(stranger.fingerprint, lost=False)).exit == 1
    world.server.node(HOSTS[0]).stuck = True
    assert story.run("adopt", verb=replacing(stranger.fingerprint, lost=False)).exit == 4
    world.server.restart()
    assert story.run("rotate").exit == 0
    assert story.run("rotate --now").exit == 0


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


@pytest.mark.parametrize("act", ["crash after", "crash before", "late"])
def test_a_lost_key_whose_replacement_is_cut_short(story: Story, world: World, act: str) -> None:
    story.run("create-proxy")
    world.lose_keyring(world.one)
    world.lose_keyring(world.one)
    world.one.lose_state()
    shown = str(world.shown())
    world.one.confirmed = shown
    story.run("recover", Stroke("PUT qrs", 1, act, times=9), verb=replacing(shown, lost=True))
    story.run("recover", verb=replacing(shown, lost=True))
    assert story.run("rotate --now").exit == 0
    assert story.run("rotate --now").exit == 0


def test_a_lost_key_whose_replacement_fails(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.lose_keyring(world.one)
    shown = str(world.shown())
    world.one.confirmed = shown
    for host in HOSTS:
        world.server.node(host).stuck = True
    assert story.run("recover", verb=replacing(shown, lost=True)).exit == 1
    assert world.shown() == shown


@pytest.mark.parametrize("command", ["recover", "rotate"])
def test_a_lost_key_whose_replacement_one_proxy_does_not_take(story: Story, world: World, command: str) -> None:
    """Nobody could see that the lost key logs in, were it put back: the one that does stays."""
    story.run("create-proxy")
    world.lose_keyring(world.one)
    shown = str(world.shown())
    world.one.confirmed = shown
    world.server.node(HOSTS[1]).stuck = True
    ended = story.run("recover", verb=replacing(shown, lost=True))
    assert isinstance(ended.error, UndoFailed)
    assert world.shown() == world.made[-1].fingerprint
    world.server.restart()
    assert story.run(command).exit == 0
    world.check_logins()


def test_a_lost_key_is_not_put_back_where_the_keyring_does_not_note_the_new_one(story: Story, world: World) -> None:
    story.run("create-proxy")
    lost = world.made[0].fingerprint
    lose_keys(world, lost)
    replaced = replacing(lost, lost=True)
    promotion = Stroke("set", 5, "refused")
    assert story.run("recover --replace-lost-key", promotion, verb=replaced).exit == 4
    assert world.shown() == world.made[1].fingerprint
    assert story.run("recover").exit == 0
    world.check_logins()


def test_a_replacement_on_its_way_back_whose_certificate_is_lost_goes_forward(story: Story, world: World) -> None:
    """There is nothing to put back, but the key that is there may log in by now."""
    story.run("create-proxy")
    world.lose_keyring(world.one, {})
    world.one.lose_state()
    shown = world.made[0].fingerprint
    for host in HOSTS:
        world.server.node(host).stuck = True
    replaced = replacing(shown, lost=False)
    assert story.run("adopt --replace-key", Stroke("PUT qrs", 2, "crash before"), verb=replaced).crashed
    world.server.restart()
    intent = world.one.ring().intent
    assert intent is not None
    assert (intent.undoing, intent.before_certificate is not None) == (True, True)
    lose_certificate(world, intent.before_certificate)
    assert story.run("rotate").exit == 0
    world.check_logins()


@pytest.mark.parametrize("command", ["recover", "rotate"])
@pytest.mark.parametrize("before", ["no certificate", "a stranger's"])
def test_a_replacement_that_no_proxy_could_tell_of(story: Story, world: World, before: str, command: str) -> None:
    """An undo was begun, and cannot be ended: by the next run the key that is in place logs in, and nothing else does."""
    story.run("create-proxy")
    shown = in_place_of_ours(world).fingerprint if before != "no certificate" else "none"
    if shown == "none":
        by_hand(world, "")
        world.one.confirmed = shown
    for host in HOSTS:
        world.server.node(host).down = True
    away = (Stroke("GET proxy", 1, "refused", times=999), Stroke("PUT qrs", 2, "503", times=9))
    assert story.run("adopt --replace-key", *away, verb=replacing(shown, lost=False)).exit == 4
    for host in HOSTS:
        world.server.node(host).down = False
    assert story.run(command).exit == 0
    world.check_logins()


@pytest.mark.parametrize("text", ["", "no certificate that can be read"], ids=["none", "unreadable"])
def test_a_replacement_of_no_certificate_that_one_proxy_is_slow_to_take(story: Story, world: World, text: str) -> None:
    story.run("create-proxy")
    by_hand(world, text)
    world.one.confirmed = "none"
    world.server.node(HOSTS[1]).stuck = True
    assert story.run("adopt --replace-key", verb=replacing("none", lost=False)).exit == 4
    world.server.restart()
    assert story.run("rotate").exit == 0
    world.check_logins()


@pytest.mark.parametrize("noted", ["at once", "late"])
@pytest.mark.parametrize("way", ["recover", "adopt --replace-key"])
def test_a_replacement_that_every_proxy_refuses_where_nothing_can_be_put_back(
    story: Story, world: World, way: str, noted: str
) -> None:
    """It is over: no run can end it otherwise."""
    cut_short_where_all_refuse(story, world, Stroke("PUT qrs", 1, "crash after"))
    intent = world.one.ring().intent
    assert intent is not None
    lose_certificate(world, intent.before_certificate)
    if noted == "late":
        assert story.run("rotate", Stroke("set", 1, "refused")).exit == 4
        assert world.one.ring().intent is not None
    ended = story.run("rotate")
    assert isinstance(ended.error, UndoFailed)
    assert all(f"rotator {command}" in ended.hint for command in ("recover portal", "adopt portal --replace-key"))
    world.server.restart()
    new = str(world.shown())
    world.one.confirmed = new
    assert story.run(way, verb=replacing(new, lost=False) if "adopt" in way else None).exit == 0
    world.check_logins()


def test_a_way_back_that_was_begun_is_given_up_for_a_key_that_logs_in(story: Story, world: World) -> None:
    """What `keys export` says belongs on the server is what is there."""
    cut_short_where_all_refuse(story, world, Stroke("PUT qrs", 2, "crash before"))
    world.server.restart()
    world.server.node(HOSTS[1]).down = True
    assert story.run("rotate").exit == 4
    intent = world.one.ring().intent
    assert intent is not None
    assert not intent.undoing


@pytest.mark.parametrize("fault", ["none", "503"])
def test_a_strangers_key_that_recover_puts_back_is_told_with_it(story: Story, world: World, fault: str) -> None:
    shown = cut_short_where_all_refuse(story, world, Stroke("PUT qrs", 1, "crash after"))
    strokes = () if fault == "none" else (Stroke("GET qrs", 5, "503", times=99),)
    ended = story.run("recover", *strokes)
    assert (ended.exit, world.shown()) == (4 if fault == "none" else 1, shown)
    assert "undone: the certificate that was there is back; then" in ended.message
    assert "nothing was changed" not in ended.hint


def test_a_key_of_ours_that_was_replaced_is_put_back_and_made_current(story: Story, world: World) -> None:
    """Somebody has put the first key back, and its replacement fails: what the server shows then is what rotator signs with."""
    story.run("create-proxy")
    story.run("rotate --now")
    by_hand(world, certificate_of(world, 1))
    shown = world.made[0].fingerprint
    world.one.confirmed = shown
    world.server.node(HOSTS[1]).stuck = True
    undo = Stroke("PUT qrs", 2, "crash after")
    assert story.run("adopt --replace-key", undo, verb=replacing(shown, lost=False)).crashed
    world.server.restart()
    assert story.run("recover").exit == 0
    assert world.one.shown_current() == world.shown() == shown
    assert story.run("rotate").exit == 0


@pytest.mark.parametrize("way", ["adopt --replace-key", "recover --replace-lost-key", "release"])
def test_a_replacement_of_which_both_ends_are_lost(story: Story, world: World, way: str) -> None:
    """Nothing can finish it, and nothing undo it: it is given up for another one."""
    story.run("create-proxy")
    shown = in_place_of_ours(world).fingerprint
    cut = Stroke("PUT qrs", 1, "crash after")
    assert story.run("adopt --replace-key", cut, verb=replacing(shown, lost=False)).crashed
    new, intent = world.made[-1].fingerprint, world.one.ring().intent
    assert intent is not None
    lose_keys(world, new)
    lose_certificate(world, intent.before_certificate)
    for command in ("rotate", "recover"):
        found = story.run(command)
        assert (found.exit, "--replace-lost-key" in found.hint) == (4, True)
    world.one.confirmed = new
    if way == "release":
        assert story.run(way, verb=lambda scene: release(scene, None)).exit == 0
        return
    assert story.run(way, verb=replacing(new, lost="lost" in way)).exit == 0
    world.check_logins()
