"""rollback: there and back, cut short, and where it fails."""

from dataclasses import replace
from datetime import timedelta

import pytest
from worlds.effects import Stroke
from worlds.server import HOSTS
from worlds.telling import Story
from worlds.world import World

from rotator.model import Outcome


def test_rollback_there_and_back(story: Story) -> None:
    story.run("create-proxy")
    assert story.run("rollback").exit == 1
    story.run("rotate --now")
    assert story.run("rollback").exit == 0
    assert story.run("rotate").exit == 0
    assert story.run("rollback").exit == 0


@pytest.mark.parametrize("every", [timedelta(days=3), None])
def test_after_a_rollback_unattended_runs_wait(story: Story, world: World, every: timedelta | None) -> None:
    cron = None if every else "0 0 1 1 *"
    world.one.spec = replace(world.one.spec, rotation=replace(world.one.spec.rotation, every=every, cron=cron))
    story.run("create-proxy")
    story.run("rotate --now")
    story.run("rollback")
    for _ in range(3):
        world.timeline.elapse(86400 * 2)
        story.run("rotate")


def test_a_run_that_fails_does_not_end_what_a_rollback_has_put_off(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.timeline.elapse(86400 * 31)
    story.run("rotate")
    story.run("rollback")
    by_hand = world.one.ring().retry
    for command in ("rotate", "rotate --now"):
        assert story.run(command, Stroke("GET qrs", 1, "503", times=9)).exit == 1
        assert world.one.ring().retry == by_hand
    world.timeline.elapse(3600)
    story.run("rotate")
    assert world.shown() == world.made[0].fingerprint


@pytest.mark.parametrize(("days", "left"), [(60, 10), (61, 11), (40, 1), (25, 1)])
def test_a_key_that_was_put_back_goes_before_its_certificate_ends(
    story: Story, world: World, days: int, left: int
) -> None:
    """By `every` it would stay for 40 days more."""
    every = timedelta(days=40)
    world.one.spec = replace(
        world.one.spec, rotation=replace(world.one.spec.rotation, every=every, certificate_days=days)
    )
    story.run("create-proxy")
    world.timeline.elapse(86400 * 20)
    story.run("rotate --now")
    assert story.run("rollback").exit == 0
    outcomes = []
    for wait in (86400 * left - 60, 120):
        world.timeline.elapse(wait)
        ended = story.run("rotate")
        assert ended.result is not None
        outcomes.append(ended.result.outcome)
    assert outcomes == [Outcome.UNCHANGED, Outcome.ROTATED]


def test_rollback_keeps_a_prepared_key(story: Story) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    story.run("rotate --prepare")
    assert story.run("rollback").exit == 0
    assert story.run("rotate --now").exit == 0


@pytest.mark.parametrize("act", ["crash before", "crash after", "late", "lost", "garbled", "403"])
@pytest.mark.parametrize("command", ["rollback", "rotate --now", "recover"])
def test_rollback_cut_short(story: Story, world: World, act: str, command: str) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    story.run("rollback", Stroke("PUT qrs", 1, act, times=9))
    story.run(command)


def test_rollback_that_fails_its_test(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    world.server.node(HOSTS[1]).stuck = True
    failed = story.run("rollback")
    assert failed.exit == 1
    assert "rotate again" not in failed.hint
    world.server.restart()
    assert story.run("rollback").exit == 0


def test_rollback_that_fails_keeps_a_prepared_key(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    story.run("rotate --prepare")
    world.server.node(HOSTS[1]).stuck = True
    assert story.run("rollback").exit == 1
    world.server.restart()
    assert story.run("rotate --now").exit == 0


@pytest.mark.parametrize("nth", range(1, 8))
def test_rollback_and_a_keyring_that_fails_at_its_end(story: Story, nth: int) -> None:
    story.brief("create-proxy")
    story.brief("rotate --now")
    most = story.world.one.run("rollback").effects.seen["get"]
    story.brief("rollback", Stroke("get", most + 1 - nth, "refused"))
    story.brief("recover")


def test_rollback_while_a_rotation_is_unfinished(story: Story) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    story.run("rotate --now", Stroke("PUT qrs", 1, "crash after"))
    assert story.run("rollback").exit == 1


def test_rollback_to_a_key_that_is_lost(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    first = world.made[0].fingerprint
    world.lose_keyring(
        world.one, {name: text for name, text in world.one.keyring.items.items() if f"-{first[:12]}" not in name}
    )
    assert story.run("rollback").exit == 1
    assert story.run("rotate --now").exit == 4 or story.run("rotate --now").exit == 0
