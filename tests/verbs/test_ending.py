"""A rotation that is cut short once its key was promoted: whether the previous one is refused is still to be seen."""

from dataclasses import replace
from datetime import time

import pytest
from worlds.effects import Stroke
from worlds.server import HOSTS
from worlds.telling import Story
from worlds.world import World

from rotator.model import Outcome, Stage, Window
from rotator.planning.due import DueReason, due
from rotator.rotation import Options, rotate


PROMOTION = Stroke("set", 5, "crash after")
NO_JOURNAL = Stroke("journal", 1, "refused", times=999)
NIGHT = Window(frozenset(range(7)), time(2), time(5), "UTC")


def cut_short(story: Story, world: World) -> None:
    """Promoted and killed, with all that is left of it due at once."""
    story.run("create-proxy")
    assert story.run("rotate --now", PROMOTION).crashed
    assert world.one.ring().intent is None
    verdict = due(world.one.spec, world.one.ring(), world.one.clock.now())
    assert (verdict.due, verdict.reason) == (True, DueReason.UNFINISHED)


@pytest.mark.parametrize("command", ["rotate", "recover", "verify"])
def test_the_next_run_sees_that_the_previous_key_is_refused(story: Story, world: World, command: str) -> None:
    cut_short(story, world)
    ended = story.run(command)
    assert ended.exit == 0
    assert ended.result is not None
    assert [check.name for check in ended.result.checks].count("previous") == len(HOSTS)
    assert ended.result.outcome is not Outcome.ROTATED
    assert len(world.made) == 2
    assert not due(world.one.spec, world.one.ring(), world.one.clock.now()).due


def test_a_rotation_that_is_asked_for_begins_where_the_earlier_one_has_ended(story: Story, world: World) -> None:
    cut_short(story, world)
    ended = story.run("rotate --now")
    assert ended.result is not None
    assert (ended.exit, ended.result.outcome) == (0, Outcome.ROTATED)
    assert world.shown() == world.made[2].fingerprint
    assert story.run("rotate --now", PROMOTION).crashed
    prepared = story.run("rotate --prepare")
    assert prepared.result is not None
    assert (prepared.exit, prepared.result.outcome) == (0, Outcome.PREPARED)
    assert world.shown() == world.made[3].fingerprint
    pending = world.one.ring().at(Stage.PENDING)
    assert pending is not None
    assert pending.fingerprint == world.made[4].fingerprint


def test_none_begins_where_the_previous_key_is_not_refused(story: Story, world: World) -> None:
    cut_short(story, world)
    assert story.run("rotate --now", Stroke("GET proxy", 5, "503", times=400)).exit == 4
    assert len(world.made) == 2


def test_none_begins_outside_its_window_but_the_earlier_one_ends(story: Story, world: World) -> None:
    cut_short(story, world)
    world.one.spec = replace(world.one.spec, rotation=replace(world.one.spec.rotation, windows=(NIGHT,)))
    assert story.run("rotate --now", verb=lambda scene: rotate(scene, Options(now=True))).exit == 3
    assert not world.one.ring().untested
    assert len(world.made) == 2


def test_none_begins_with_a_keyring_that_did_not_note_the_end(story: Story, world: World) -> None:
    cut_short(story, world)
    assert story.run("rotate --now", Stroke("set", 1, "refused", times=9)).exit == 1
    assert world.shown() == world.made[1].fingerprint
    assert world.one.ring().untested


@pytest.mark.parametrize("command", ["rotate", "recover"])
def test_the_next_run_cannot_see_it(story: Story, world: World, command: str) -> None:
    """A person is told, once; then the schedule goes on."""
    cut_short(story, world)
    assert story.run(command, Stroke("GET proxy", 5, "503", times=400)).exit == 4
    assert story.run("rotate").exit == 0


@pytest.mark.parametrize("now", [False, True])
def test_a_dry_run_says_what_is_left(story: Story, world: World, now: bool) -> None:
    cut_short(story, world)
    dry = story.run("rotate --dry-run", verb=lambda scene: rotate(scene, Options(now=now, dry_run=True)), looking=True)
    assert dry.result is not None
    assert dry.exit == 0
    assert ("would make a key" in dry.result.message) is now
    assert world.one.ring().untested


def test_a_change_under_way_comes_before_the_end_of_the_one_before(story: Story, world: World) -> None:
    cut_short(story, world)
    assert story.run("rollback", Stroke("PUT qrs", 1, "crash after")).crashed
    dry = story.run("rotate --dry-run", verb=lambda scene: rotate(scene, Options(now=True, dry_run=True)), looking=True)
    assert dry.result is not None
    assert dry.result.message.startswith("would test the key of the unfinished rotation")
    assert story.run("rotate --now").exit == 0
    assert world.shown() == world.made[0].fingerprint


def test_a_journal_that_cannot_be_written_does_not_keep_it_from_its_end(story: Story, world: World) -> None:
    cut_short(story, world)
    assert story.run("rotate --now", NO_JOURNAL).exit == 1
    assert world.one.ring().untested
    assert story.run("rotate", NO_JOURNAL).exit == 0
    assert not world.one.ring().untested
    assert story.run("rotate", NO_JOURNAL).exit == 1


def test_a_keyring_that_does_not_note_it_is_asked_again(story: Story, world: World) -> None:
    story.run("create-proxy")
    assert story.run("rotate --now", Stroke("set", 6, "refused")).exit == 0
    assert story.run("rotate").exit == 0
    assert not world.one.ring().untested
