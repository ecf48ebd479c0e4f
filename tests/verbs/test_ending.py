"""A rotation that is cut short once its key was promoted: whether the previous one is refused is still to be seen."""

import pytest
from worlds.effects import Stroke
from worlds.server import HOSTS
from worlds.telling import Story
from worlds.world import World

from rotator.planning.due import DueReason, due
from rotator.rotation import Options, rotate


PROMOTION = Stroke("set", 5, "crash after")


def cut_short(story: Story, world: World) -> None:
    """Promoted and killed, with all that is left of it due at once."""
    story.run("create-proxy")
    assert story.run("rotate --now", PROMOTION).crashed
    assert world.one.ring().intent is None
    verdict = due(world.one.spec, world.one.ring(), world.one.clock.now())
    assert (verdict.due, verdict.reason) == (True, DueReason.UNFINISHED)


@pytest.mark.parametrize("command", ["rotate", "rotate --now", "recover", "verify"])
def test_the_next_run_sees_that_the_previous_key_is_refused(story: Story, world: World, command: str) -> None:
    cut_short(story, world)
    ended = story.run(command)
    assert ended.exit == 0
    assert ended.result is not None
    assert [check.name for check in ended.result.checks].count("previous") == len(HOSTS)
    assert len(world.made) == 2
    assert not due(world.one.spec, world.one.ring(), world.one.clock.now()).due


@pytest.mark.parametrize("command", ["rotate", "recover"])
def test_the_next_run_cannot_see_it(story: Story, world: World, command: str) -> None:
    """A person is told, once; then the schedule goes on."""
    cut_short(story, world)
    assert story.run(command, Stroke("GET proxy", 5, "503", times=400)).exit == 4
    assert story.run("rotate").exit == 0


def test_a_dry_run_says_what_is_left(story: Story, world: World) -> None:
    cut_short(story, world)
    dry = story.run("rotate --dry-run", verb=lambda scene: rotate(scene, Options(now=True, dry_run=True)), looking=True)
    assert dry.exit == 0
    assert world.one.ring().untested


def test_a_keyring_that_does_not_note_it_is_asked_again(story: Story, world: World) -> None:
    story.run("create-proxy")
    assert story.run("rotate --now", Stroke("set", 6, "refused")).exit == 0
    assert story.run("rotate").exit == 0
    assert not world.one.ring().untested
