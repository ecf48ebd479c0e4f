"""Rotations that something strikes: what is undone, what the next run goes on from, and what is said."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from worlds.by_hand import by_hand, certificate_of
from worlds.effects import Effects, Stroke
from worlds.keyring import INDEX
from worlds.rotators import adopting
from worlds.server import CERTIFICATE, HOSTS
from worlds.telling import Story
from worlds.world import World

from rotator.keystore.key_items import KeyItems
from rotator.model import Stage
from rotator.planning import stages


if TYPE_CHECKING:
    from collections.abc import Callable


def counted(story: Story, label: str) -> int:
    """How many effects of a kind a rotation has."""
    return story.world.one.run("rotate --now").effects.seen[label]


def test_a_proxy_that_keeps_the_old_key(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).stuck = True
    assert story.run("rotate --now").exit == 1
    world.timeline.elapse(31 * 86400)
    story.run("rotate")
    for _ in range(3):
        story.run("rotate --now")
    world.timeline.elapse(3600)
    story.run("rotate")
    world.server.restart()
    world.timeline.elapse(86400)
    assert story.run("rotate").exit == 0


def test_a_restart_that_takes_its_time(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[0]).delay = 9.0
    world.server.node(HOSTS[1]).delay = 4.0
    assert story.run("rotate --now").exit == 0


def test_a_restart_that_takes_too_long(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[0]).delay = 60.0
    assert story.run("rotate --now").exit in (1, 4)
    story.run("rotate --now")
    world.timeline.elapse(120)
    story.run("rotate --now")
    story.run("rotate --now")


def test_an_undo_that_fails(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).stuck = True
    assert story.run("rotate --now", Stroke("PUT qrs", 2, "503", times=9)).exit == 4
    world.server.restart()
    assert story.run("rotate --now").exit == 1
    assert story.run("rotate --now").exit == 0


@pytest.mark.parametrize("act", ["400", "401", "403", "404", "409", "refused"])
def test_an_undo_that_is_refused(story: Story, world: World, act: str) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).stuck = True
    assert story.run("rotate --now", Stroke("PUT qrs", 2, act, times=9)).exit == 4
    world.server.restart()
    story.run("recover")


def test_an_undo_that_meets_the_certificate_of_somebody_else(story: Story, world: World) -> None:
    """It is a live login: it stays, and what the hint says to do works."""
    story.run("create-proxy")
    stranger = world.new_key()
    world.outside[stranger.fingerprint] = stranger
    theirs = stranger.certificate("x", 30, world.timeline.present())
    world.server.node(HOSTS[1]).stuck = True
    pasted = Stroke("PUT qrs", 2, None, meanwhile=lambda: by_hand(world, theirs))
    failed = story.run("rotate --now", pasted)
    assert failed.exit == 4
    assert world.shown() == stranger.fingerprint
    world.server.restart()
    assert story.run("recover").exit == 4
    assert story.run("adopt", verb=adopting(stranger)).exit == 0
    assert story.run("rotate --now").exit == 0


@pytest.mark.parametrize("act", ["page", "500", "503", "refused"])
def test_an_undo_that_begins_with_a_server_that_makes_no_sense(story: Story, world: World, act: str) -> None:
    """The new certificate is in place and does not log in: giving up at once would leave it so."""
    story.run("create-proxy")
    before = world.server.shown(world.prefix)
    world.server.node(HOSTS[1]).stuck = True
    asked_first = counted(story, "GET qrs") - 1  # one more comes after the PUT
    assert story.run("rotate --now", Stroke("GET qrs", asked_first, act, times=3)).exit == 1
    assert world.server.shown(world.prefix) == before


def test_an_undo_after_which_the_old_key_does_not_log_in(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).stuck = True
    assert story.run("rotate --now", Stroke("proxy central.example.com", 8, "503", times=400)).exit == 4
    world.server.restart()
    story.run("rotate")


def test_a_virtual_proxy_that_is_deleted_before_the_undo(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).stuck = True
    gone = Stroke("PUT qrs", 2, None, meanwhile=lambda: world.server.delete(world.prefix))
    assert story.run("rotate --now", gone).exit == 4
    world.server.restart()
    story.run("recover")
    assert story.run("create-proxy").exit == 0


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


def test_edits_in_between_survive(story: Story, world: World) -> None:
    story.run("create-proxy")
    edits = [
        Stroke("PUT qrs", nth, None, meanwhile=partial(world.server.edit, world.prefix, engineRoutingPolicy=nth))
        for nth in (1, 2, 3)
    ]
    assert story.run("rotate --now", *edits).exit == 0
    assert (world.server.virtual_proxy(world.prefix) or {})["engineRoutingPolicy"] == 3


@pytest.mark.parametrize("label", ["GET qrs", "PUT qrs"])
@pytest.mark.parametrize("nth", [1, 2, 3, 5, 6])
@pytest.mark.parametrize("what", ["certificate", "delete", "relink"])
def test_somebody_else_in_the_middle(story: Story, world: World, label: str, nth: int, what: str) -> None:
    stranger = world.new_key()
    world.outside[stranger.fingerprint] = stranger
    text = stranger.certificate("x", 30, world.timeline.present())
    acts: dict[str, Callable[[], None]] = {
        "certificate": lambda: world.server.edit(world.prefix, **{CERTIFICATE: text}),
        "delete": lambda: world.server.delete(world.prefix),
        "relink": lambda: world.server.relink(world.prefix, HOSTS[:1]),
    }
    story.run("create-proxy")
    story.run("rotate --now", Stroke(label, nth, None, meanwhile=acts[what]))
    story.run("recover")


@pytest.mark.parametrize("label", ["PUT qrs", "set", "get", "GET proxy", "GET qrs"])
@pytest.mark.parametrize("act", ["crash before", "crash after"])
def test_a_crash_at_each_effect_of_a_kind(story: Story, world: World, label: str, act: str) -> None:
    """Then the next run, which finishes or undoes, and one more, which rotates."""
    story.brief("create-proxy")
    most = counted(story, label)
    for nth in range(1, most + 1):
        story.brief("rotate --now", Stroke(label, nth, act))
        world.watch()
        world.check_logins()
        story.brief("rotate --now" if nth % 2 else "recover")
        world.check_logins()
        assert story.brief("rotate --now").exit == 0


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


def test_a_promotion_that_is_stored_during_its_undo(story: Story, world: World) -> None:
    """The keyring then names a key that no proxy takes: the undo goes over it, and the rotation stays due."""
    story.run("create-proxy")
    first = world.shown()
    world.timeline.elapse(31 * 86400)
    failed = story.run("rotate", Stroke("set", 5, "garbled"))
    assert (failed.exit, world.shown(), world.one.ring().intent) == (1, first, None)
    assert [key.fingerprint for key in world.one.ring().keys if key.stage is Stage.CURRENT] == [first]
    world.timeline.elapse(3600)
    assert story.run("rotate").exit == 0
    assert world.shown() != first


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


@pytest.mark.parametrize("label", ["GET qrs", "GET proxy", "PUT qrs"])
@pytest.mark.parametrize("act", ["503", "lost", "garbled", "page", "403"])
def test_a_server_that_fails_at_each_request(story: Story, world: World, label: str, act: str) -> None:
    story.brief("create-proxy")
    most = counted(story, label)
    for nth in range(1, most + 1):
        assert story.brief("rotate --now", Stroke(label, nth, act)).exit in (0, 1, 4)
        world.check_logins()
        world.timeline.elapse(3600)
        story.brief("recover")


def test_a_server_that_is_away_for_longer_than_anybody_waits(story: Story) -> None:
    story.run("create-proxy")
    for nth in (1, 2, 5, 6, 7):
        story.run("rotate --now", Stroke("GET qrs", nth, "503", times=99))
        story.run("rotate --now")


def test_a_journal_that_fills_up_stops_nothing(story: Story) -> None:
    story.run("create-proxy")
    assert story.run("rotate --now", Stroke("INSERT", 3, "refused", times=99)).exit == 0


def test_two_rotators_with_one_key(story: Story, world: World) -> None:
    from worlds.rotators import adopting

    story.run("create-proxy")
    two = world.rotator("two")
    story.run("adopt", verb=adopting(world.made[0]), who=two)
    race = Stroke("PUT qrs", 1, None, meanwhile=lambda: story.note(f"two: {two.run('rotate --now').exit}"))
    assert story.run("rotate --now", race).exit == 4
    story.run("recover")
    story.run("rotate --now", who=two)


def test_a_run_from_the_timer_meets_one_by_hand(story: Story, world: World) -> None:
    story.run("create-proxy")

    def begins() -> None:
        assert world.one.run("rotate").exit == 3

    assert story.run("rotate --now", Stroke("PUT qrs", 1, None, meanwhile=begins)).exit == 0


@pytest.mark.parametrize("same", ["name", "address"])
def test_a_site_that_is_written_in_two_ways_is_locked_as_one(story: Story, world: World, same: str) -> None:
    story.run("create-proxy")
    written = world.one.site

    def other_way() -> None:
        by_address, by_name = replace(written, name="production"), replace(written, qrs="https://10.0.0.5:4242")
        world.one.site = by_name if same == "name" else by_address
        world.one.spec = replace(world.one.spec, site=world.one.site.name)
        held_back = world.one.run("rotate --now")
        story.note(f"at the same time: {held_back.exit} {held_back.message.partition(',')[0]}")
        world.one.site, world.one.spec = written, replace(world.one.spec, site=written.name)
        assert held_back.exit == 3

    assert story.run("rotate --now", Stroke("PUT qrs", 1, None, meanwhile=other_way)).exit == 0


@pytest.mark.parametrize(("promotes", "status"), [(True, 0), (False, 4)])
def test_something_else_writes_to_the_keyring_meanwhile(
    story: Story, world: World, promotes: bool, status: int
) -> None:
    """As with another state directory, whose lock is another: what is stored is believed only where it is what was wanted."""
    story.run("create-proxy")

    def write() -> None:
        mine, world.one.keyring.effects = world.one.keyring.effects, Effects()
        ring = world.one.ring()
        index = next(name for name in world.one.keyring.items if name.endswith(INDEX))
        items = KeyItems(world.one.keyring, *index.removesuffix(INDEX).split("/", 1))
        items.save(stages.promoted(ring, world.one.clock.now(), None) if promotes else ring)
        world.one.keyring.effects = mine

    assert story.run("rotate --now", Stroke("GET proxy", 6, None, meanwhile=write)).exit == status
    assert story.run("recover").exit == 0
    assert story.run("rotate --now").exit == 0


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
