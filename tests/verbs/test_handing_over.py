"""The hand-over of a new key to a hook: made again until it is done, and of the key that is current then."""

from dataclasses import replace

import pytest
from worlds.by_hand import by_hand, certificate_of
from worlds.effects import Stroke
from worlds.hooks import handed, hook
from worlds.rotators import adopting
from worlds.server import HOSTS
from worlds.telling import Story
from worlds.world import World

from rotator.model import Consumers
from rotator.rotation import Options, rotate


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
    ended = story.run("rotate --now", Stroke("GET proxy", 10, "503", times=400))
    assert ended.exit == 4
    assert "ended with status 3; and " in ended.message
    assert "is not known to be refused" in ended.message
    assert "the hook is run again by the next run" in ended.hint


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


def undelivered(story: Story, world: World) -> None:
    """The second key in place, and a hook that is mended after it failed; what it was given before is forgotten."""
    story.run("create-proxy")
    hook(world, 3)
    assert story.run("rotate --now").exit == 5
    hook(world, 0)
    (world.folder / "handed").unlink()


def nothing_handed(world: World) -> bool:
    delivery = world.one.ring().delivery
    assert delivery is not None
    assert delivery.fingerprint == world.made[1].fingerprint
    return not (world.folder / "handed").exists()


@pytest.mark.parametrize("what", ["older", "foreign", "empty", "deleted"])
def test_a_key_that_the_server_does_not_show_is_not_handed_over_late(story: Story, world: World, what: str) -> None:
    """Consumers that got it would be refused by every proxy, and nobody would know."""
    undelivered(story, world)
    stranger = world.new_key()
    if what == "older":
        by_hand(world, certificate_of(world, 1))
    elif what == "foreign":
        world.outside[stranger.fingerprint] = stranger
        by_hand(world, stranger.certificate("x", 30, world.timeline.present()))
    elif what == "empty":
        by_hand(world, "")
    else:
        world.server.delete(world.prefix)
    for command in ("rotate", "rotate --now"):
        assert story.run(command).exit == 4
        assert nothing_handed(world)
    if what == "older":
        assert story.run("recover").exit == 0
        assert handed(world) == world.made[0].fingerprint
    elif what == "foreign":
        assert story.run("adopt", verb=adopting(stranger)).exit == 0
        assert world.one.ring().delivery is None
    else:
        assert story.run("create-proxy").exit == 0
        assert story.run("rotate").exit == 0
        assert handed(world) == world.made[1].fingerprint == world.shown()


def test_that_the_server_shows_another_key_is_told_without_a_window(story: Story, world: World) -> None:
    undelivered(story, world)
    by_hand(world, certificate_of(world, 1))
    world.one.spec = replace(world.one.spec, rotation=replace(world.one.spec.rotation, windows=()))
    assert story.run("rotate").exit == 4
    assert nothing_handed(world)


@pytest.mark.parametrize("act", ["503", "refused", "403"])
def test_a_late_hand_over_does_not_wait_for_the_server(story: Story, world: World, act: str) -> None:
    undelivered(story, world)
    ended = story.run("rotate", Stroke("GET qrs", 1, act, times=99))
    assert ended.exit == 0
    assert handed(world) == world.made[1].fingerprint


def test_a_late_hand_over_does_not_wait_for_rights(story: Story, world: World) -> None:
    """A caller who is shown nothing at all has not seen that the virtual proxy is gone."""
    undelivered(story, world)
    world.one.user = r"INTERNAL\nobody"
    assert story.run("rotate").exit == 0
    assert handed(world) == world.made[1].fingerprint


def test_a_server_that_has_shown_another_key_and_then_falls_silent(story: Story, world: World) -> None:
    undelivered(story, world)
    by_hand(world, certificate_of(world, 1))
    assert story.run("rotate", Stroke("GET qrs", 2, "503", times=99)).exit == 1
    assert nothing_handed(world)


@pytest.mark.parametrize("what", ["full", "damaged"])
def test_a_journal_that_cannot_be_written_does_not_stop_a_late_hand_over(world: World, what: str) -> None:
    """Nothing new begins without it."""
    world.one.run("create-proxy")
    hook(world, 3)
    assert world.one.run("rotate --now").exit == 5
    hook(world, 0)
    strokes = [Stroke("journal", 1, "refused", times=999)] if what == "full" else []
    if what == "damaged":
        for path in world.one.state.glob("journal.sqlite*"):
            path.unlink()
        (world.one.state / "journal.sqlite").write_bytes(b"rubbish" * 1000)
    (world.folder / "handed").unlink()
    for command in ("rotate --now", "rollback", "create-proxy"):
        ended = world.one.run(command, strokes)
        assert ended.error is not None
        assert (ended.exit, "journal" in ended.message) == (1, True), command
        assert nothing_handed(world)
    ended = world.one.run("rotate", strokes)
    assert (ended.exit, handed(world)) == (0, world.made[1].fingerprint)
    assert "history will have a gap" in "".join(ended.told)
    assert world.one.ring().delivery is None
    assert world.one.run("rotate", strokes).exit == 1
    assert len(world.made) == 2


def test_without_a_hook_a_journal_that_cannot_be_written_stops_a_run(world: World) -> None:
    """A run that has nobody to hand the key to would begin something else."""
    world.one.run("create-proxy")
    hook(world, 3)
    assert world.one.run("rotate --now").exit == 5
    world.one.spec = replace(world.one.spec, consumers=Consumers.TOKEN, hook=None)
    assert world.one.run("rotate", [Stroke("journal", 1, "refused", times=999)]).exit == 1
    assert world.one.ring().delivery is not None
