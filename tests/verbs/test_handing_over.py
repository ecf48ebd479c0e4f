"""The hand-over of a new key to a hook: made again until it is done, and of the key that is current then."""

from dataclasses import replace

from worlds.by_hand import by_hand, certificate_of
from worlds.effects import Stroke
from worlds.server import HOSTS
from worlds.telling import Story
from worlds.world import World

from rotator.model import Consumers
from rotator.rotation import Options, rotate


def hook(world: World, status: int) -> None:
    path = world.folder / "hook"
    path.write_text(f'#!/bin/sh\ncat >/dev/null\necho "$ROTATOR_FINGERPRINT" >>{world.folder}/handed\nexit {status}\n')
    path.chmod(0o700)
    world.one.spec = replace(world.one.spec, consumers=Consumers.HOOK, hook=path)


def handed(world: World) -> str:
    """The key that the hook was given last."""
    return (world.folder / "handed").read_text().split()[-1]


def test_a_key_is_handed_over(story: Story, world: World) -> None:
    story.run("create-proxy")
    hook(world, 0)
    assert story.run("rotate --now").exit == 0


def test_a_hand_over_that_fails_is_made_again(story: Story, world: World) -> None:
    story.run("create-proxy")
    hook(world, 3)
    assert story.run("rotate --now").exit == 5
    assert story.run("rotate").exit == 5
    assert (
        story.run(
            "rotate --dry-run", verb=lambda scene: rotate(scene, Options(now=True, dry_run=True)), looking=True
        ).exit
        == 0
    )
    hook(world, 0)
    assert story.run("rotate").exit == 0
    assert story.run("rotate").exit == 0
    hook(world, 3)
    assert story.run("rotate --now").exit == 5
    hook(world, 0)
    assert story.run("rotate --now").exit == 0


def test_a_hand_over_is_due_after_a_crash(story: Story, world: World) -> None:
    story.run("create-proxy")
    hook(world, 0)
    crashed = story.run("rotate --now", Stroke("set", 5, "crash before"))
    assert crashed.crashed
    story.run("rotate")


def test_a_failed_hand_over_and_a_previous_key_that_lives_on(story: Story, world: World) -> None:
    story.run("create-proxy")
    hook(world, 3)
    world.server.node(HOSTS[1]).down = False
    story.run("rotate --now", Stroke("GET proxy", 10, "503", times=400))


def test_a_key_that_is_current_no_more_is_not_handed_over(story: Story, world: World) -> None:
    """Somebody puts the old certificate back: consumers that got the undelivered key would be refused."""
    story.run("create-proxy")
    hook(world, 3)
    assert story.run("rotate --now").exit == 5
    by_hand(world, certificate_of(world, 1))
    assert story.run("recover").exit == 5
    assert handed(world) == world.made[0].fingerprint
    hook(world, 0)
    assert story.run("rotate").exit == 0
    assert handed(world) == world.made[0].fingerprint == world.shown()


def test_an_unfinished_change_does_not_wait_for_a_hook(story: Story, world: World) -> None:
    """It may keep users out; the hand-over of another key is due where it ends well."""
    story.run("create-proxy")
    hook(world, 3)
    assert story.run("rotate --now").exit == 5
    assert story.run("rollback", Stroke("PUT qrs", 1, "crash after")).crashed
    ended = story.run("rotate --now")
    assert ended.exit == 5
    assert world.one.ring().intent is None
    assert handed(world) == world.made[0].fingerprint
    hook(world, 0)
    assert story.run("rotate").exit == 0


def test_a_hook_that_is_given_up_takes_its_hand_over_along(story: Story, world: World) -> None:
    story.run("create-proxy")
    hook(world, 3)
    assert story.run("rotate --now").exit == 5
    world.one.spec = replace(world.one.spec, consumers=Consumers.TOKEN, hook=None)
    assert story.run("rotate").exit == 0
    assert story.run("rotate --now").exit == 0
