"""A site that looks at the end of a virtual proxy's certificate, and what has ended meanwhile."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from values import spec
from worlds.by_hand import by_hand, certificate_of
from worlds.effects import Stroke
from worlds.losses import lose_certificate
from worlds.rotators import replacing
from worlds.server import HOSTS
from worlds.telling import Story
from worlds.world import ROTATION, World


DAY = 86400


@pytest.fixture
def world(tmp_path: Path) -> World:
    rotation = replace(ROTATION, every=timedelta(days=100), certificate_days=130)
    return World(tmp_path, "certificate-end=enforced", spec=spec(rotation=rotation))


def test_back_to_a_key_whose_certificate_has_ended(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.timeline.elapse(101 * DAY)
    assert story.run("rotate").exit == 0
    world.timeline.elapse(40 * DAY)
    assert story.run("rollback").exit == 0
    assert world.shown() == world.made[0].fingerprint


def test_a_certificate_that_has_ended_is_not_put_back(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.timeline.elapse(140 * DAY)
    by_hand(world, "")
    story.note("the certificate is taken away after it has ended")
    assert story.run("create-proxy").exit == 0
    world.check_logins()


def test_a_current_key_whose_certificate_has_ended_is_rotated(story: Story, world: World) -> None:
    """As on a machine that was off: nobody can log in any more, so that nothing is lost by a change."""
    story.run("create-proxy")
    world.timeline.elapse(140 * DAY)
    refused = story.run("recover")
    assert refused.exit == 1
    assert refused.hint == "its certificate has ended: rotator rotate portal --now"
    world.server.node(HOSTS[1]).down = True
    assert story.run("rotate").exit == 1
    world.server.node(HOSTS[1]).down = False
    assert story.run("rotate --now").exit == 0
    assert world.shown() == world.made[1].fingerprint


def test_a_change_of_what_has_ended_that_fails_comes_to_its_end(story: Story, world: World) -> None:
    """A certificate that lets nobody in is no way back: the old key gets one that does."""
    story.run("create-proxy")
    world.timeline.elapse(140 * DAY)
    world.server.node(HOSTS[1]).stuck = True
    assert story.run("rotate").exit == 4
    world.server.restart()
    assert story.run("rotate").exit == 1
    world.check_logins()
    assert story.run("rotate --now").exit == 0


def test_a_current_key_that_is_refused_before_its_certificate_ends_is_not_rotated(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.edit(world.prefix, jwtAudience="", jwtAttributeUserId="another")
    assert story.run("rotate --now").exit == 1
    assert world.shown() == world.made[0].fingerprint


@pytest.mark.parametrize("noted", ["at once", "late"])
@pytest.mark.parametrize("command", ["rotate", "recover"])
def test_an_undo_to_a_certificate_that_has_ended_meanwhile(
    story: Story, world: World, command: str, noted: str
) -> None:
    """Nothing more comes of the change, and a new one can begin."""
    story.run("create-proxy")
    world.server.node(HOSTS[1]).stuck = True
    assert story.run("rotate --now", Stroke("PUT qrs", 2, "crash after")).crashed
    world.server.restart()
    world.timeline.elapse(140 * DAY)
    if noted == "late":
        assert story.run(command, Stroke("set", 1, "refused", times=9)).exit == 4
        assert world.one.ring().intent is not None
    failed = story.run(command)
    assert (failed.exit, "has ended" in failed.message) == (4, True)
    assert story.run("rotate --now").exit == 0
    world.check_logins()


def test_a_replacement_whose_certificate_has_ended_and_nothing_can_be_put_back(story: Story, world: World) -> None:
    story.run("create-proxy")
    by_hand(world, "no certificate that can be read")
    world.one.confirmed = "none"
    cut = Stroke("PUT qrs", 1, "crash after")
    assert story.run("adopt --replace-key", cut, verb=replacing("none", lost=False)).crashed
    intent = world.one.ring().intent
    assert intent is not None
    lose_certificate(world, intent.before_certificate)
    world.timeline.elapse(140 * DAY)
    ended = story.run("rotate")
    assert (ended.exit, "its certificate has ended" in ended.hint) == (4, True)
    world.one.confirmed = str(world.shown())
    assert story.run("adopt --replace-key", verb=replacing(world.one.confirmed, lost=False)).exit == 0
    world.check_logins()


def test_the_end_of_a_rotation_whose_certificate_has_ended_meanwhile(story: Story, world: World) -> None:
    story.run("create-proxy")
    assert story.run("rotate --now", Stroke("set", 5, "crash after")).crashed
    world.timeline.elapse(140 * DAY)
    ended = story.run("rotate")
    assert (ended.exit, "the certificate of the current key has ended" in ended.message) == (1, True)
    world.timeline.elapse(3600)
    assert story.run("rotate").exit == 0
    assert world.shown() == world.made[-1].fingerprint
    world.check_logins()


@pytest.mark.parametrize("what", ["taken out", "deleted"])
def test_a_first_key_whose_certificate_has_ended_before_it_was_proven(story: Story, world: World, what: str) -> None:
    assert story.run("create-proxy", Stroke("GET proxy", 1, "crash before")).crashed
    world.timeline.elapse(140 * DAY)
    failed = story.run("create-proxy")
    assert (failed.exit, failed.hint.startswith("its certificate has ended: take it out")) == (1, True)
    if what == "deleted":
        world.server.delete(world.prefix)
    else:
        by_hand(world, "")
    assert story.run("create-proxy").exit == 0
    world.check_logins()


@pytest.mark.parametrize("command", ["verify", "create-proxy", "recover"])
def test_whoever_looks_is_told_that_the_certificate_has_ended(story: Story, world: World, command: str) -> None:
    story.run("create-proxy")
    world.timeline.elapse(140 * DAY)
    failed = story.run(command)
    assert failed.exit in (1, 4)
    assert failed.hint.startswith("its certificate has ended: rotator rotate portal --now")


@pytest.mark.parametrize("command", ["rotate", "rotate --now"])
def test_a_clock_that_is_far_ahead_ends_no_certificate(story: Story, world: World, command: str) -> None:
    """Here it has ended, there it has not; and what is made now would begin in the server's future."""
    story.run("create-proxy")
    shown = world.server.virtual_proxy(world.prefix)
    world.one.clock.offset = 400.0 * DAY
    story.note("the clock is set 400 days ahead")
    ended = story.run(command)
    assert (ended.exit, ended.effects.seen["PUT qrs"]) == (1, 0)
    assert world.server.virtual_proxy(world.prefix) == shown
    world.one.clock.offset = 0.0
    assert story.run("verify").exit == 0


def test_an_older_copy_of_the_keyring_whose_certificate_has_ended(story: Story, world: World) -> None:
    """Nobody logs in any more, so that nothing contradicts it: the rotation that is hinted at goes on from it."""
    story.run("create-proxy")
    copy = dict(world.one.keyring.items)
    story.run("rotate --prepare")
    world.lose_keyring(world.one, copy)
    world.timeline.elapse(140 * DAY)
    found = story.run("recover")
    assert (found.exit, found.hint) == (1, "its certificate has ended: rotator rotate portal --now")
    assert story.run("rotate --now").exit == 0
    world.check_logins()


def test_a_previous_key_is_pasted_back_whose_certificate_has_ended(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.timeline.elapse(101 * DAY)
    story.run("rotate")
    world.timeline.elapse(40 * DAY)
    by_hand(world, certificate_of(world, 1))
    story.note("the first certificate is pasted back, which has ended")
    found = story.run("recover")
    assert (found.exit, "rotator adopt portal --replace-key" in found.hint) == (1, True)
    shown = world.made[0].fingerprint
    world.one.confirmed = shown
    assert story.run("adopt --replace-key", verb=replacing(shown, lost=False)).exit == 0
    world.check_logins()
