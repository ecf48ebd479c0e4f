"""rollback: there and back, cut short, and where it fails."""

from dataclasses import replace
from datetime import timedelta

import pytest
from worlds.effects import Stroke
from worlds.server import HOSTS
from worlds.telling import Story
from worlds.world import World


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
    assert story.run("rollback").exit == 1
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
