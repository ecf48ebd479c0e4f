"""An undo: what it puts back, what it leaves alone, and what is said where it fails."""

import pytest
from worlds.by_hand import by_hand
from worlds.effects import Stroke
from worlds.rotators import adopting
from worlds.server import HOSTS
from worlds.telling import Story, counted
from worlds.world import World


def test_a_proxy_that_keeps_the_old_key(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).stuck = True
    assert story.run("rotate --now").exit == 1
    world.timeline.elapse(31 * 86400)
    story.run("rotate")
    for _ in range(3):
        story.run("rotate --now")
    world.timeline.elapse(3600)
    story.run("rotate")
    world.server.restart()
    world.timeline.elapse(86400)
    assert story.run("rotate").exit == 0


def test_a_restart_that_takes_too_long(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[0]).delay = 60.0
    assert story.run("rotate --now").exit in (1, 4)
    story.run("rotate --now")
    world.timeline.elapse(120)
    story.run("rotate --now")
    story.run("rotate --now")


def test_an_undo_that_fails(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).stuck = True
    assert story.run("rotate --now", Stroke("PUT qrs", 2, "503", times=9)).exit == 4
    world.server.restart()
    assert story.run("rotate --now").exit == 1
    assert story.run("rotate --now").exit == 0


@pytest.mark.parametrize("act", ["400", "401", "403", "404", "409", "refused"])
def test_an_undo_that_is_refused(story: Story, world: World, act: str) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).stuck = True
    assert story.run("rotate --now", Stroke("PUT qrs", 2, act, times=9)).exit == 4
    world.server.restart()
    story.run("recover")


def test_an_undo_that_meets_the_certificate_of_somebody_else(story: Story, world: World) -> None:
    """It is a live login: it stays, and what the hint says to do works."""
    story.run("create-proxy")
    stranger = world.new_key()
    world.outside[stranger.fingerprint] = stranger
    theirs = stranger.certificate("x", 30, world.timeline.present())
    world.server.node(HOSTS[1]).stuck = True
    pasted = Stroke("PUT qrs", 2, None, meanwhile=lambda: by_hand(world, theirs))
    failed = story.run("rotate --now", pasted)
    assert failed.exit == 4
    assert world.shown() == stranger.fingerprint
    world.server.restart()
    assert story.run("recover").exit == 4
    assert story.run("adopt", verb=adopting(stranger)).exit == 0
    assert story.run("rotate --now").exit == 0


@pytest.mark.parametrize("act", ["page", "500", "503", "refused"])
def test_an_undo_that_begins_with_a_server_that_makes_no_sense(story: Story, world: World, act: str) -> None:
    """The new certificate is in place and does not log in: giving up at once would leave it so."""
    story.run("create-proxy")
    before = world.server.shown(world.prefix)
    world.server.node(HOSTS[1]).stuck = True
    asked_first = counted(story, "GET qrs") - 1  # one more comes after the PUT
    assert story.run("rotate --now", Stroke("GET qrs", asked_first, act, times=3)).exit == 1
    assert world.server.shown(world.prefix) == before


def test_an_undo_after_which_the_old_key_does_not_log_in(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).stuck = True
    assert story.run("rotate --now", Stroke("proxy central.example.com", 8, "503", times=400)).exit == 4
    world.server.restart()
    story.run("rotate")


def test_a_virtual_proxy_that_is_deleted_before_the_undo(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).stuck = True
    gone = Stroke("PUT qrs", 2, None, meanwhile=lambda: world.server.delete(world.prefix))
    assert story.run("rotate --now", gone).exit == 4
    world.server.restart()
    story.run("recover")
    assert story.run("create-proxy").exit == 0
