"""rotate in and out of maintenance windows."""

from dataclasses import replace
from datetime import time, timedelta

import pytest
from worlds.effects import Stroke
from worlds.rotators import configured, rotating
from worlds.telling import Story
from worlds.world import ROTATION, World

from rotator.model import Consumers, Outcome, Window, Windows


@pytest.mark.parametrize("consumers", list(Consumers))
def test_without_a_window(story: Story, world: World, consumers: Consumers) -> None:
    story.run("create-proxy")
    configured(world, rotation=replace(ROTATION, windows=()), consumers=consumers)
    world.timeline.elapse(31 * 86400)
    story.run("rotate")
    story.run("rotate --now", verb=rotating(now=True))


NOON = Window(frozenset({1}), time(13), time(14), "Europe/Stockholm")


@pytest.mark.parametrize("later", ["before", "open", "at the margin", "too late"])
def test_in_and_out_of_a_window(story: Story, world: World, later: str) -> None:
    """The world begins on a Tuesday at 12:00 UTC, 13:00 in Stockholm."""
    story.run("create-proxy")
    configured(world, rotation=replace(ROTATION, windows=(NOON,), every=timedelta(seconds=1)))
    began = world.timeline.seconds
    passes = {"before": 6 * 86400.0, "open": 600.0, "at the margin": 3580.0 - began, "too late": 3581.0 - began}
    world.timeline.elapse(passes[later] - 5 if later == "before" else passes[later])
    story.run("rotate --now", verb=rotating(now=True))
    story.run("rotate", verb=rotating())
    story.run("rotate --dry-run", verb=rotating(now=True, dry_run=True), looking=True)
    story.run("rotate --prepare", verb=rotating(now=True, prepare=True))
    story.run("rotate --now --ignore-window", verb=rotating(now=True, ignore_window=True))


@pytest.mark.parametrize("windows", [(NOON,), ()], ids=["closed", "none"])
def test_what_is_due_is_rotated_outside_windows_where_a_person_says_so(
    story: Story, world: World, windows: Windows
) -> None:
    story.run("create-proxy")
    configured(world, rotation=replace(ROTATION, windows=windows))
    ignoring = rotating(ignore_window=True)
    assert story.run("rotate --ignore-window", verb=ignoring).exit == 0
    assert world.shown() == world.made[0].fingerprint
    world.timeline.elapse(31 * 86400)
    assert story.run("rotate --dry-run --ignore-window", verb=rotating(dry_run=True, ignore_window=True)).exit == 0
    assert story.run("rotate --ignore-window", verb=ignoring).exit == 0
    assert world.shown() == world.made[-1].fingerprint


def test_looks_that_fail_while_the_window_is_closed_do_not_cost_the_window(story: Story, world: World) -> None:
    """A task of Windows runs `rotate` whatever is due: what fails then is no rotation, and puts none off."""
    story.run("create-proxy")
    open_at_one = Window(frozenset({1}), time(13), time(16), "UTC")
    configured(world, rotation=replace(ROTATION, windows=(open_at_one,), every=timedelta(seconds=1)))
    for _ in range(3):
        world.timeline.elapse(900)
        story.brief("rotate", Stroke("GET qrs", 1, "refused", times=9))
    assert world.one.ring().retry is None
    world.timeline.elapse(900)
    down = story.run("rotate", Stroke("GET qrs", 1, "refused", times=9))
    assert down.hint.endswith("not before 2026-11-24 13:15 UTC")
    world.timeline.elapse(600)
    story.brief("rotate", Stroke("GET qrs", 1, "refused", times=9))
    world.timeline.elapse(300)
    rotated = story.run("rotate")
    assert rotated.result is not None
    assert rotated.result.outcome is Outcome.ROTATED
    assert world.one.ring().retry is None
