"""A keyring that fails, is late or lies in the middle of a change, or to which something else writes."""

from typing import Final

import pytest
from worlds.effects import Effects, Stroke
from worlds.keyring import INDEX
from worlds.server import HOSTS
from worlds.telling import Story, counted
from worlds.world import World

from rotator.errors import UndoFailed
from rotator.keystore.key_items import KeyItems
from rotator.planning import stages


UNREAD: Final = Stroke("get", 24, "refused", times=2)
"""Both questions with which the undo of a rotation begins."""


@pytest.mark.parametrize("act", ["refused", "lost", "late", "garbled"])
@pytest.mark.parametrize("label", ["get", "set", "delete"])
def test_a_keyring_that_fails_at_each_call(story: Story, world: World, label: str, act: str) -> None:
    story.brief("create-proxy")
    most = counted(story, label)
    for nth in range(1, most + 2):
        before = world.shown()
        ended = story.brief("rotate --now", Stroke(label, nth, act))
        assert ended.exit != 1 or world.shown() == before
        world.check_logins()
        story.brief("recover")
        assert story.brief("rotate --now").exit == 0


@pytest.mark.parametrize("times", [1, 4])
@pytest.mark.parametrize("command", ["rotate --now", "rollback"])
def test_a_promotion_that_is_stored_before_its_undo(story: Story, world: World, command: str, times: int) -> None:
    """The new key logs in, and the keyring names it: nothing is put back, and no proxy restarts once more."""
    story.run("create-proxy")
    story.run("rotate --now")
    before = world.shown()
    nth = {"rotate --now": 5, "rollback": 2}[command]
    ended = story.run(command, Stroke("set", nth, "garbled", times=times))
    assert (ended.exit, ended.effects.seen["PUT qrs"], world.one.ring().intent) == (0, 1, None)
    assert world.shown() not in (None, before)
    assert world.shown() == world.one.current
    assert story.run("rotate --now").exit == 0


def test_a_promotion_that_is_stored_during_its_undo(story: Story, world: World) -> None:
    """The keyring then names a key that no proxy takes: the undo goes over it, and the rotation stays due."""
    story.run("create-proxy")
    first = world.shown()
    world.timeline.elapse(31 * 86400)
    failed = story.run("rotate", Stroke("set", 5, "garbled"), UNREAD)
    assert (failed.exit, world.shown(), world.one.current, world.one.unfinished) == (1, first, first, False)
    world.timeline.elapse(3600)
    assert story.run("rotate").exit == 0
    assert world.shown() != first


def test_a_promotion_that_is_stored_during_its_undo_and_cannot_be_taken_back(story: Story, world: World) -> None:
    """Nobody is locked out, but keyring and server disagree: that is loud, and its hint is the way out."""
    story.run("create-proxy")
    first = world.shown()
    failed = story.run("rotate --now", Stroke("set", 5, "garbled"), UNREAD, Stroke("set", 6, "refused"))
    assert (failed.exit, type(failed.error), world.shown()) == (4, UndoFailed, first)
    assert "rotator recover portal" in failed.hint
    world.check_logins()
    assert story.run("recover").exit == 0
    assert (world.shown(), world.one.current) == (first, first)
    assert story.run("rotate --now").exit == 0


@pytest.mark.parametrize("act", ["refused", "garbled", "late"])
def test_a_first_key_that_the_keyring_cannot_note_as_current(story: Story, world: World, act: str) -> None:
    """It stays: there is nothing to go back to, and the next run, an unattended one too, goes on from there."""
    failed = story.run("create-proxy", Stroke("set", 7, act))
    assert (failed.exit, "the first key" in failed.message) == (1, True)
    first = world.shown()
    assert first is not None
    assert story.run("rotate").exit == 0
    assert (world.shown(), world.one.current) == (first, first)


@pytest.mark.parametrize("nth", range(1, 9))
def test_a_keyring_that_fails_for_good(story: Story, world: World, nth: int) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    story.run("rotate --now", Stroke("set", nth, "refused", times=99))
    story.run("rotate --now", Stroke("set", nth, "late", times=99))
    story.run("recover")


@pytest.mark.parametrize("nth", range(4, 12))
def test_a_keyring_that_is_gone_in_the_middle(story: Story, nth: int) -> None:
    story.run("create-proxy")
    story.run("rotate --now", Stroke("get", 2 * nth, "refused", times=99), Stroke("set", 5, "refused", times=99))
    story.run("recover")


def writes(world: World, what: str) -> Stroke:
    """Something else writes to the keyring while the new key is tested, as with another state directory, whose lock is another."""

    def write() -> None:
        mine, world.one.keyring.effects = world.one.keyring.effects, Effects()
        ring = world.one.ring()
        index = next(name for name in world.one.keyring.items if name.endswith(INDEX))
        items = KeyItems(world.one.keyring, *index.removesuffix(INDEX).split("/", 1))
        now = world.one.clock.now()
        written = {"promotes": stages.promoted(ring, now, None), "undoes": stages.undone(ring, now)}
        items.save(written.get(what, ring))
        world.one.keyring.effects = mine

    return Stroke("GET proxy", 6, None, meanwhile=write)


@pytest.mark.parametrize(("what", "status"), [("promotes", 0), ("undoes", 4), ("writes the same", 4)])
def test_something_else_writes_to_the_keyring_meanwhile(story: Story, world: World, what: str, status: int) -> None:
    """What is stored is believed only where it is what was wanted."""
    story.run("create-proxy")
    assert story.run("rotate --now", writes(world, what)).exit == status
    assert story.run("recover").exit == 0
    assert story.run("rotate --now").exit == 0


def test_something_else_promotes_a_key_that_fails_its_test(story: Story, world: World) -> None:
    story.run("create-proxy")
    first = world.shown()
    world.server.node(HOSTS[1]).stuck = True
    assert story.run("rotate --now", writes(world, "promotes")).exit == 1
    assert (world.shown(), world.one.shown_current()) == (first, first)
