"""A PUT that is refused, taken without an answer, or late: what is left of it, and what is said."""

import pytest
from worlds.by_hand import by_hand, certificate_of
from worlds.effects import Stroke
from worlds.telling import Story, counted
from worlds.world import World


@pytest.mark.parametrize("act", ["lost", "late", "garbled", "refused", "page", "500"])
@pytest.mark.parametrize("times", [1, 9])
def test_a_put_without_an_answer(story: Story, world: World, act: str, times: int) -> None:
    story.run("create-proxy")
    story.run("rotate --now", Stroke("PUT qrs", 1, act, times=times))
    while world.server.late:
        story.note(f"a late PUT lands: {'taken' if world.server.land(0) else 'refused'}")
        world.watch()
    assert story.run("rotate --now").exit == 0


@pytest.mark.parametrize("act", ["400", "401", "403", "404", "409"])
def test_a_put_that_is_refused_leaves_nothing_behind(story: Story, world: World, act: str) -> None:
    story.run("create-proxy")
    assert story.run("rotate --now", Stroke("PUT qrs", 1, act, times=9)).exit == 1
    assert len(world.one.keyring.fingerprints()) == 1
    assert story.run("rotate --now", Stroke("PUT qrs", 1, act)).exit in (0, 1)


def test_a_put_that_is_refused_leaves_a_prepared_key_as_it_is(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --prepare")
    assert story.run("rotate --now", Stroke("PUT qrs", 1, "403")).exit == 1
    assert len(world.one.keyring.fingerprints()) == 2


def test_a_put_that_is_refused_after_one_without_an_answer(story: Story) -> None:
    story.run("create-proxy")
    story.run("rotate --now", Stroke("PUT qrs", 1, "late"), Stroke("PUT qrs", 2, "403"))
    story.run("rotate --now", Stroke("PUT qrs", 1, "403"))
    assert story.run("rotate --now").exit == 0


def test_a_put_that_is_refused_and_a_keyring_too(story: Story) -> None:
    story.run("create-proxy")
    story.run("rotate --now", Stroke("PUT qrs", 1, "403"), Stroke("set", 5, "refused", times=9))
    story.run("rotate --now")


def test_a_put_that_was_taken_after_one_that_was_refused_and_an_older_certificate_is_shown(
    story: Story, world: World
) -> None:
    """What was sent once may come back: its key stays, and whether it is in place is not known."""
    story.run("create-proxy")
    refused = Stroke("PUT qrs", 1, "refused")
    look_after = counted(story, "GET qrs")  # one more for the second PUT, and one less: the proxies come last
    old = certificate_of(world, 2)
    back = Stroke("GET qrs", look_after, None, meanwhile=lambda: by_hand(world, old))
    failed = story.run("rotate --now", refused, back)
    assert (failed.exit, "as before" in failed.message) == (4, True)
    assert world.made[-1].fingerprint in world.one.keyring.fingerprints()
    assert story.run("rotate").exit == 0
    assert world.shown() == world.made[-1].fingerprint


def test_a_put_without_an_answer_that_somebody_goes_over_is_not_said_to_have_changed_nothing(
    story: Story, world: World
) -> None:
    story.run("create-proxy")
    stranger = world.new_key()
    world.outside[stranger.fingerprint] = stranger
    theirs = stranger.certificate("x", 30, world.timeline.present())
    pasted = Stroke("GET qrs", counted(story, "GET qrs"), None, meanwhile=lambda: by_hand(world, theirs))
    assert story.run("rotate --now", Stroke("PUT qrs", 1, "lost"), pasted).exit == 4
    assert world.shown() == stranger.fingerprint


def test_a_put_of_an_earlier_run_that_lands_before_the_server_goes_away(story: Story, world: World) -> None:
    """The next run sees it in place, and no more than that: 4, not 1."""
    story.run("create-proxy")
    assert story.run("rotate --now", Stroke("PUT qrs", 1, "crash sent")).crashed
    landing = Stroke("GET qrs", 3, None, meanwhile=lambda: story.note(f"it lands: {world.server.land(0)}"))
    assert story.run("rotate", landing, Stroke("GET qrs", 4, "refused", times=9999)).exit == 4
    assert story.run("rotate").exit == 0
