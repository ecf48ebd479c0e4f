"""recover: each way out of a mess, and each way in which it is refused."""

from dataclasses import replace

import pytest
from worlds.by_hand import by_hand, certificate_of, let_see
from worlds.effects import Stroke
from worlds.rotators import adopting, replacing
from worlds.server import HOSTS
from worlds.telling import Story
from worlds.world import World

from rotator.model import Auth
from rotator.recovery import LostKey, recover


def test_recover_where_all_is_well(story: Story) -> None:
    story.run("create-proxy")
    assert story.run("recover").exit == 0


def test_recover_where_there_is_no_key_on_either_side(story: Story, world: World) -> None:
    story.run("create-proxy")
    by_hand(world, "")
    world.lose_keyring(world.one)
    world.one.lose_state()
    assert story.run("recover").exit == 0
    assert story.run("rotate --now").exit == 1
    assert story.run("create-proxy").exit == 0


def test_recover_where_both_sides_have_lost_their_key(story: Story, world: World) -> None:
    """It is not taken for a virtual proxy that has none yet: nobody would be told that nobody can log in."""
    story.run("create-proxy")
    by_hand(world, "")
    world.lose_keyring(world.one)
    assert story.run("create-proxy").exit == 4
    told = story.run("recover")
    assert (told.exit, "rotator create-proxy portal" in told.hint) == (4, True)
    assert story.run("create-proxy").exit == 0


def test_recover_finds_the_current_key_refused(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).down = True
    assert story.run("recover").exit == 1


@pytest.mark.parametrize("act", ["503", "refused", "404", "403"])
def test_recover_cannot_ask(story: Story, world: World, act: str) -> None:
    story.run("recover", Stroke("GET qrs", 1, act, times=99))
    story.run("create-proxy")
    story.run("recover", Stroke("GET qrs", 1, act, times=99))
    story.run("rotate --now", Stroke("PUT qrs", 1, "crash after"))
    story.run("recover", Stroke("GET qrs", 1, act, times=99))


@pytest.mark.parametrize("act", ["crash before", "crash after", "lost", "late", "garbled"])
@pytest.mark.parametrize("nth", [1, 2])
def test_recover_finishes_or_undoes(story: Story, world: World, act: str, nth: int) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).stuck = nth == 2
    story.run("rotate --now", Stroke("PUT qrs", nth, act, times=9))
    world.server.restart()
    assert story.run("recover").exit == 0
    assert story.run("recover").exit == 0


def test_recover_makes_the_key_on_the_server_current(story: Story, world: World) -> None:
    story.run("create-proxy")
    for _ in range(3):
        story.run("rotate --now")
    for number in (1, 3, 2):
        by_hand(world, certificate_of(world, number))
        story.note(f"somebody puts the certificate of K{number} back")
        world.server.node(HOSTS[1]).down = True
        assert story.run("recover").exit == 1
        world.server.node(HOSTS[1]).down = False
        assert story.run("recover").exit == 0


def test_recover_where_a_change_was_overtaken(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    story.run("rotate --now", Stroke("PUT qrs", 1, "crash after"))
    by_hand(world, certificate_of(world, 1))
    story.run("rotate --now")
    assert story.run("recover").exit == 0


@pytest.mark.parametrize("undoing", [False, True])
def test_recover_where_the_new_key_is_lost(story: Story, world: World, undoing: bool) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).stuck = undoing
    story.run("rotate --now", Stroke("PUT qrs", 2 if undoing else 1, "crash before" if undoing else "crash after"))
    world.server.restart()
    lost = world.made[-1].fingerprint
    items = {name: text for name, text in world.one.keyring.items.items() if f"-{lost[:12]}" not in name}
    world.lose_keyring(world.one, items)
    assert story.run("recover").exit == 0
    assert story.run("rotate --now").exit == 0


def test_recover_is_not_done_where_the_keyring_does_not_note_it(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).stuck = True
    story.run("rotate --now", Stroke("PUT qrs", 2, "crash before"))
    world.server.restart()
    assert story.run("recover", Stroke("set", 2, "refused", times=9)).exit == 1
    assert story.run("recover").exit == 0
    assert story.run("recover").exit == 0


@pytest.mark.parametrize("what", ["key", "key of both", "certificate", "damaged"])
def test_recover_where_the_way_back_is_lost(story: Story, world: World, what: str) -> None:
    story.run("create-proxy")
    world.server.node(HOSTS[1]).stuck = True
    story.run("rotate --now", Stroke("PUT qrs", 2, "crash before"))
    world.server.restart()
    items = dict(world.one.keyring.items)
    first = world.made[0].fingerprint
    for name in list(items):
        if ("/key/" in name and what == "key of both") or (f"-{first[:12]}" in name and what == "key"):
            del items[name]
        if "/certificate/" in name and what == "certificate":
            del items[name]
        if f"-{first[:12]}" in name and what == "damaged":
            items[name] = items[next(other for other in items if "/key/" in other and other != name)]
    world.lose_keyring(world.one, items)
    for command in ("verify", "rotate --now", "recover", "rollback", "create-proxy"):
        story.run(command)


def test_a_lost_keyring(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    world.lose_keyring(world.one)
    shown = str(world.shown())
    for command in ("rotate --now", "recover", "create-proxy"):
        assert story.run(command).exit == 4
    assert story.run("recover", verb=replacing("0" * 12, lost=True)).exit == 2
    assert story.run("recover", verb=replacing(shown[:11], lost=True)).exit == 2
    by_jwt = story.run("recover", verb=lambda scene: recover(replace(scene, auth=Auth.JWT), LostKey(shown)))
    assert by_jwt.exit == 1
    world.one.confirmed = shown
    assert story.run("recover", verb=replacing(shown.upper()[:12], lost=True)).exit == 0
    assert story.run("rotate --now").exit == 0


def test_an_older_copy_of_the_keyring(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --prepare")
    copy = dict(world.one.keyring.items)
    story.run("rotate --now")
    world.lose_keyring(world.one, copy)
    assert story.run("rotate --now").exit == 4
    assert story.run("verify").exit == 4
    assert story.run("recover").exit == 0
    assert story.run("rotate --now").exit == 0


def test_an_older_copy_of_the_keyring_with_a_change_of_long_ago(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --now", Stroke("PUT qrs", 1, "crash after"))
    copy = dict(world.one.keyring.items)
    for _ in range(2):
        story.run("rotate --now")
    world.lose_keyring(world.one, copy)
    story.run("recover")
    by_hand(world, certificate_of(world, 2))
    assert story.run("recover").exit == 0


@pytest.mark.parametrize("what", ["deleted", "unlinked", "empty"])
def test_an_older_copy_of_the_keyring_where_nobody_can_log_in(story: Story, world: World, what: str) -> None:
    story.run("create-proxy")
    copy = dict(world.one.keyring.items)
    story.run("rotate --now")
    world.lose_keyring(world.one, copy)
    if what == "deleted":
        world.server.delete(world.prefix)
    elif what == "unlinked":
        by_hand(world, certificate_of(world, 1))
        world.server.relink(world.prefix, ())
    else:
        by_hand(world, "")
    assert story.run("create-proxy").exit == 4
    story.run("recover")
    assert story.run("create-proxy").exit == 0
    assert story.run("rotate --now").exit == 0


def test_an_empty_keyring_and_somebody_who_has_the_key(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.lose_keyring(world.one)
    assert story.run("adopt", verb=adopting(world.made[0])).exit == 0
    assert story.run("rotate --now").exit == 0


@pytest.mark.parametrize("what", ["gone", "another one"])
def test_one_key_lost_alone_is_taken_back_from_somebody_who_has_it(story: Story, world: World, what: str) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    items = dict(world.one.keyring.items)
    first, second = (name for name in items if "/key/" in name)
    if what == "gone":
        del items[second]
    else:
        items[second] = items[first]
    world.lose_keyring(world.one, items)
    world.timeline.elapse(3600)
    assert story.run("verify").exit == 4
    assert story.run("adopt", verb=adopting(world.made[1])).exit == 0
    assert story.run("verify").exit == 0
    assert story.run("rotate --now").exit == 0


def test_what_a_key_is_current_since(story: Story, world: World) -> None:
    """A certificate that somebody else made for the same key is the one that is kept from then on."""
    story.run("create-proxy")
    story.run("rotate --now")
    world.timeline.elapse(3600)
    by_hand(world, world.made[0].certificate("of another hand", 90, world.timeline.present()))
    assert story.run("recover").exit == 0
    assert len(world.one.certificates()) == 3


def test_an_older_copy_of_the_keyring_that_is_not_proven_does_not_count(story: Story, world: World) -> None:
    story.run("create-proxy")
    copy = dict(world.one.keyring.items)
    story.run("rotate --prepare")
    world.lose_keyring(world.one, copy)
    node = next(iter(world.server.repository.nodes))
    world.server.edit(world.prefix, loadBalancingServerNodes=[{"id": node}])
    world.server.node(HOSTS[1]).down = True
    assert story.run("recover").exit == 1
    assert story.run("rotate").exit == 4
    world.server.node(HOSTS[1]).down = False
    assert story.run("recover").exit == 0
    assert story.run("rotate").exit == 0


def test_an_older_copy_of_the_keyring_and_proxies_that_are_not_to_be_seen(story: Story, world: World) -> None:
    """That the virtual proxy is linked to none of those seen says nothing: somebody may log in."""
    story.run("create-proxy")
    copy = dict(world.one.keyring.items)
    story.run("rotate --now")
    world.lose_keyring(world.one, copy)
    let_see(world, "nobody", "VirtualProxyConfig")
    world.one.user = r"INTERNAL\nobody"
    ended = story.run("recover")
    assert "the rights to see them are missing" in ended.message
    world.one.user = r"INTERNAL\sa_api"
    assert story.run("rotate").exit == 4
    assert "rotator recover portal" in story.run("rotate").hint


def test_what_was_found_is_told_by_a_server_that_falls_silent_then(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.server.delete(world.prefix)
    ended = story.run("recover", Stroke("GET qrs", 4, "503", times=99))
    assert ended.exit == 4
    assert "rotator create-proxy portal" in ended.hint


def pasted_rubbish(story: Story, world: World) -> None:
    """Somebody pastes a text that no reader of the world's can read either."""
    world.watch = lambda: None  # type: ignore[method-assign]
    world.shown = world.served = lambda *_: None  # type: ignore[method-assign, assignment]
    by_hand(world, "garbage")
    story.note("somebody pastes a certificate that cannot be read")


def test_a_certificate_that_cannot_be_read_is_not_none(story: Story, world: World) -> None:
    """Whoever lost the keyring must not be told that there is no key: nothing would ever be due again."""
    story.run("create-proxy")
    world.lose_keyring(world.one)
    pasted_rubbish(story, world)
    for command in ("rotate", "recover", "rotate"):
        assert story.run(command).exit == 4
    refused = story.run("adopt", verb=adopting(world.made[0]))
    assert (refused.exit, "adopt portal --replace-key" in refused.hint) == (1, True)


def test_a_first_key_is_not_put_over_what_cannot_be_read(story: Story, world: World) -> None:
    story.run("create-proxy")
    by_hand(world, "")
    world.lose_keyring(world.one)
    world.one.lose_state()
    assert story.run("create-proxy", Stroke("PUT qrs", 1, "crash before")).crashed
    pasted_rubbish(story, world)
    assert story.run("rotate").exit == 4
    assert (world.server.virtual_proxy(world.prefix) or {})["jwtPublicKeyCertificate"] == "garbage"
    refused = story.run("adopt", verb=adopting(world.made[0]))
    assert (refused.exit, "adopt portal --replace-key" in refused.hint) == (1, True)
    replaced = replacing("none", lost=False)
    assert story.run("adopt --replace-key", Stroke("PUT qrs", 1, "crash before"), verb=replaced).crashed
