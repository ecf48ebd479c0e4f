"""Rotations that a crash or a server strikes at each effect: what the next run goes on from, and what is said."""

import pytest
from worlds.effects import Stroke
from worlds.server import HOSTS
from worlds.telling import Story, counted
from worlds.world import World


def test_a_restart_that_takes_its_time(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[0]).delay = 9.0
    world.server.node(HOSTS[1]).delay = 4.0
    assert story.run("rotate --now").exit == 0


@pytest.mark.parametrize("label", ["PUT qrs", "set", "get", "GET proxy", "GET qrs"])
@pytest.mark.parametrize("act", ["crash before", "crash after"])
def test_a_crash_at_each_effect_of_a_kind(story: Story, world: World, label: str, act: str) -> None:
    """Then the next run, which finishes or undoes, and one more, which rotates."""
    story.brief("create-proxy")
    most = counted(story, label)
    for nth in range(1, most + 1):
        story.brief("rotate --now", Stroke(label, nth, act))
        world.watch()
        world.check_logins()
        story.brief("rotate --now" if nth % 2 else "recover")
        world.check_logins()
        assert story.brief("rotate --now").exit == 0


@pytest.mark.parametrize("label", ["GET qrs", "GET proxy", "PUT qrs"])
@pytest.mark.parametrize("act", ["503", "lost", "garbled", "page", "403"])
def test_a_server_that_fails_at_each_request(story: Story, world: World, label: str, act: str) -> None:
    story.brief("create-proxy")
    most = counted(story, label)
    for nth in range(1, most + 1):
        assert story.brief("rotate --now", Stroke(label, nth, act)).exit in (0, 1, 4)
        world.check_logins()
        world.timeline.elapse(3600)
        story.brief("recover")


def test_a_server_that_is_away_for_longer_than_anybody_waits(story: Story) -> None:
    story.run("create-proxy")
    for nth in (1, 2, 5, 6, 7):
        story.run("rotate --now", Stroke("GET qrs", nth, "503", times=99))
        story.run("rotate --now")


def test_a_journal_that_fills_up_stops_nothing(story: Story) -> None:
    story.run("create-proxy")
    assert story.run("rotate --now", Stroke("INSERT", 3, "refused", times=99)).exit == 0
