"""Clocks that differ: a token's times are those of the proxy that it is shown to, which its first answer tells."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from worlds.by_hand import by_hand, certificate_of
from worlds.effects import Stroke
from worlds.rotators import Verb
from worlds.server import HOSTS
from worlds.telling import Story
from worlds.world import World

from rotator.model import Outcome
from rotator.recovery import prune


AHEAD_AND_BEHIND = (400.0, 90.0, -90.0, -4000.0)


@pytest.mark.parametrize("seconds", AHEAD_AND_BEHIND)
def test_a_server_whose_clock_differs(story: Story, world: World, seconds: float) -> None:
    world.server.clock.offset = seconds
    for command in ("create-proxy", "verify", "rotate --now", "recover", "rollback", "verify"):
        assert story.run(command).exit == 0, command


@pytest.mark.parametrize("seconds", AHEAD_AND_BEHIND)
def test_no_key_goes_because_a_clock_makes_it_look_refused(story: Story, world: World, seconds: float) -> None:
    """One proxy still serves the oldest key, which somebody had put back for a while."""
    story.run("create-proxy")
    for _ in range(2):
        story.run("rotate --now")
    by_hand(world, certificate_of(world, 1))
    world.timeline.elapse(8 * 86400)
    world.server.node(HOSTS[1]).stuck = True
    by_hand(world, certificate_of(world, 3))
    world.server.clock.offset = seconds
    story.run("keys prune", verb=pruning(0))
    assert world.served(HOSTS[1]) == world.made[0].fingerprint in world.one.keyring.fingerprints()
    world.server.restart()
    story.run("keys prune", verb=pruning(0))
    assert world.made[0].fingerprint not in world.one.keyring.fingerprints()


@pytest.mark.parametrize("ahead", [60.0, 1200.0, 86000.0])
@pytest.mark.parametrize("schedule", [{"every": None, "cron": "0 3 * * *"}, {"every": timedelta(hours=12)}])
def test_a_date_that_has_come_is_done_with_by_one_rotation(
    story: Story, world: World, ahead: float, schedule: dict[str, Any]
) -> None:
    """However far the server's clock, which dates the certificate, is behind the one that the schedule is read by."""
    story.run("create-proxy")
    world.one.spec = replace(world.one.spec, rotation=replace(world.one.spec.rotation, **schedule))
    world.one.clock.offset = ahead
    world.timeline.elapse(86400)
    rotated = [story.run("rotate").result for _ in range(3)]
    assert [result is not None and result.outcome for result in rotated] == [
        Outcome.ROTATED,
        Outcome.UNCHANGED,
        Outcome.UNCHANGED,
    ]


def test_a_key_that_was_prepared_is_not_due_as_soon_as_it_is_in_place(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --prepare")
    world.timeline.elapse(31 * 86400)
    outcomes = [story.run("rotate").result for _ in range(2)]
    assert [result is not None and result.outcome for result in outcomes] == [Outcome.ROTATED, Outcome.UNCHANGED]


@pytest.mark.parametrize("years", [4, -4])
def test_clocks_that_were_years_off_for_one_rotation(story: Story, world: World, years: int) -> None:
    """Of the server too, else nothing would have been rotated. What follows is one rotation, and then all is as before."""
    story.run("create-proxy")
    world.one.clock.offset = world.server.clock.offset = years * 365 * 86400.0
    outcomes = [story.run("rotate").result for _ in range(2)]
    assert [told is not None and told.outcome for told in outcomes] == [Outcome.ROTATED, Outcome.UNCHANGED]
    world.one.clock.offset = world.server.clock.offset = 0.0
    outcomes = [story.run("rotate").result for _ in range(3)]
    assert [told is not None and told.outcome for told in outcomes] == [
        Outcome.ROTATED,
        Outcome.UNCHANGED,
        Outcome.UNCHANGED,
    ]
    world.timeline.elapse(30 * 86400)
    assert story.run("rotate").result is not None
    assert len(world.made) == 4


def test_a_clock_that_is_years_behind_rotates_nothing_by_itself(story: Story, world: World) -> None:
    """The key became current in its future, but the server, whose clock is right, takes no token of then."""
    story.run("create-proxy")
    world.one.clock.offset = -4 * 365 * 86400.0
    ended = story.run("rotate")
    assert ended.exit == 1
    assert not ended.effects.seen["PUT qrs"]
    world.one.clock.offset = 0.0
    assert story.run("rotate").exit == 0
    assert world.shown() == world.made[0].fingerprint


def test_a_first_key_waits_for_clocks_that_are_far_apart(story: Story, world: World) -> None:
    world.server.clock.offset = -2 * 86400.0
    refused = story.run("create-proxy")
    assert (refused.exit, "a day or more apart" in refused.message, world.made) == (1, True, [])
    world.server.clock.offset = 0.0
    assert story.run("create-proxy").exit == 0


@pytest.mark.parametrize("command", ["rotate --now", "rollback"])
@pytest.mark.parametrize("act", ["crash before", "crash after"])
def test_what_was_cut_short_while_clocks_are_far_apart(story: Story, world: World, command: str, act: str) -> None:
    """What consumers have is in place in the meantime: no test could tell whether anything else logs in."""
    story.run("create-proxy")
    story.run("rotate --now")
    before = world.shown()
    assert story.run(command, Stroke("PUT qrs", 1, act)).crashed
    world.one.clock.offset = 9 * 86400.0
    ended = story.run("recover")
    assert (ended.exit, world.shown()) == (4 if act == "crash after" else 1, before)
    assert ("a day or more apart" in ended.message) == (act == "crash before")
    world.one.clock.offset = 0.0
    assert story.run("recover").exit == 0
    assert story.run("rotate --now").exit == 0
    world.check_logins()


def test_a_certificate_is_put_back_though_clocks_are_far_apart(story: Story, world: World) -> None:
    story.run("create-proxy")
    by_hand(world, "")
    world.one.clock.offset = 9 * 86400.0
    assert story.run("create-proxy").exit == 1
    world.check_logins()


@pytest.mark.parametrize("command", ["rotate --now", "rotate --prepare", "rollback"])
def test_nothing_begins_while_clocks_are_far_apart(story: Story, world: World, command: str) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    world.one.clock.offset = 9 * 86400.0
    refused = story.run(command)
    assert (refused.exit, "a day or more apart" in refused.message, len(world.made)) == (1, True, 2)
    assert not refused.effects.seen["PUT qrs"]


def pruning(keep: int) -> Verb:
    return lambda scene: prune(scene, keep)
