"""recover, rollback, prune, adopt and release: each way out of a mess, and each way in which it is refused."""

from dataclasses import replace
from datetime import timedelta

import pytest
from worlds.effects import Stroke
from worlds.rotators import Verb, adopting, replacing
from worlds.server import CERTIFICATE, HOSTS
from worlds.telling import Story
from worlds.world import World

from rotator.adoption import release
from rotator.inspection import status
from rotator.model import Auth, Consumers
from rotator.provisioning import create_proxy
from rotator.recovery import LostKey, prune, recover
from rotator.rotation import Options, rotate
from rotator.scene import Scene


def by_hand(world: World, text: str) -> None:
    world.server.edit(world.prefix, **{CERTIFICATE: text})


def certificate_of(world: World, number: int) -> str:
    wanted = world.made[number - 1].fingerprint
    return next(text for shown, text in world.one.certificates() if shown == wanted)


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


@pytest.mark.parametrize("act", ["crash before", "crash after", "lost", "late"])
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


@pytest.mark.parametrize("act", ["crash after", "crash before", "late"])
def test_a_lost_key_whose_replacement_is_cut_short(story: Story, world: World, act: str) -> None:
    story.run("create-proxy")
    world.lose_keyring(world.one)
    world.lose_keyring(world.one)
    world.one.lose_state()
    shown = str(world.shown())
    world.one.confirmed = shown
    story.run("recover", Stroke("PUT qrs", 1, act, times=9), verb=replacing(shown, lost=True))
    story.run("recover", verb=replacing(shown, lost=True))
    assert story.run("rotate --now").exit == 0
    assert story.run("rotate --now").exit == 0


def test_a_lost_key_whose_replacement_fails(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.lose_keyring(world.one)
    shown = str(world.shown())
    world.one.confirmed = shown
    world.server.node(HOSTS[1]).stuck = True
    assert story.run("recover", verb=replacing(shown, lost=True)).exit == 1
    assert world.shown() == shown


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


@pytest.mark.parametrize("act", ["crash before", "crash after", "late", "lost", "403"])
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


def pruning(keep: int) -> Verb:
    return lambda scene: prune(scene, keep)


def test_pruning(story: Story, world: World) -> None:
    story.run("create-proxy")
    for _ in range(5):
        story.run("rotate --now")
    assert story.run("keys prune", verb=pruning(0)).exit == 0
    world.timeline.elapse(7 * 86400 - 60)
    story.run("keys prune", verb=pruning(0))
    world.timeline.elapse(120)
    story.run("keys prune", verb=pruning(2))
    story.run("keys prune", Stroke("GET qrs", 1, "503", times=9), verb=pruning(0))
    story.run("keys prune", Stroke("delete", 2, "crash before"), verb=pruning(0))
    story.run("keys prune", Stroke("set", 1, "crash before"), verb=pruning(0))
    story.run("keys prune", verb=pruning(0))
    story.run("keys prune", verb=pruning(0))


def test_pruning_spares_what_could_come_back(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --now", Stroke("PUT qrs", 1, "late", times=9))
    story.run("rotate --now", Stroke("PUT qrs", 1, "403", times=9))
    world.timeline.elapse(5 * 86400)
    world.one.clock.offset = 9 * 86400
    story.run("keys prune")
    world.watch()
    story.run("rotate --now")
    story.run("rotate --now")
    world.one.clock.offset = 30 * 86400
    by_hand(world, certificate_of(world, 1))
    story.run("keys prune")
    world.watch()


def test_adopting(story: Story, world: World) -> None:
    story.run("create-proxy")
    two = world.rotator("two")
    stranger = world.new_key()
    assert story.run("adopt", verb=adopting(stranger), who=two).exit == 1
    world.server.node(HOSTS[1]).down = True
    assert story.run("adopt", verb=adopting(world.made[0]), who=two).exit == 1
    world.server.node(HOSTS[1]).down = False
    assert story.run("adopt", verb=adopting(world.made[0]), who=two).exit == 0
    assert story.run("adopt", verb=adopting(world.made[0]), who=two).exit == 0
    story.run("rotate --now")
    story.run("adopt", verb=adopting(world.made[-1]), who=two)
    by_hand(world, certificate_of(world, 1))
    assert story.run("adopt", verb=adopting(world.made[0]), who=two).exit == 0
    assert story.run("rotate --now", who=two).exit == 0


def test_adopting_where_there_is_no_certificate_or_a_change_under_way(story: Story, world: World) -> None:
    story.run("create-proxy")
    story.run("rotate --now", Stroke("PUT qrs", 1, "crash after"))
    assert story.run("adopt", verb=adopting(world.made[0])).exit == 1
    shown = str(world.shown())
    assert story.run("adopt", verb=replacing(shown, lost=False)).exit == 1
    story.run("rotate --now")
    by_hand(world, "")
    assert story.run("adopt", verb=adopting(world.made[0])).exit == 1
    assert story.run("adopt", verb=replacing("none", lost=False)).exit == 0


def test_replacing_the_key_of_a_stranger(story: Story, world: World) -> None:
    story.run("create-proxy")
    stranger = world.new_key()
    world.outside[stranger.fingerprint] = stranger
    by_hand(world, stranger.certificate("x", 30, world.timeline.present()))
    world.one.confirmed = stranger.fingerprint
    assert story.run("adopt", verb=replacing("", lost=False)).exit == 2
    assert story.run("adopt", Stroke("PUT qrs", 1, "403"), verb=replacing(stranger.fingerprint, lost=False)).exit == 1
    world.server.node(HOSTS[0]).stuck = True
    assert story.run("adopt", verb=replacing(stranger.fingerprint, lost=False)).exit == 1
    world.server.restart()
    assert story.run("adopt", verb=replacing(stranger.fingerprint, lost=False)).exit == 0
    assert story.run("rotate --now").exit == 0


def test_releasing(story: Story, world: World) -> None:
    assert story.run("release", verb=lambda scene: release(scene, None)).exit == 0
    story.run("create-proxy")
    story.run("rotate --now", Stroke("PUT qrs", 1, "crash after"))
    assert story.run("release", verb=lambda scene: release(scene, None)).exit == 1
    story.run("rotate --now")
    taken = world.made[-1]
    world.outside[taken.fingerprint] = taken
    assert story.run("release", verb=lambda scene: release(scene, lambda key: story.note(f"taken {key}"))).exit == 0
    assert not world.one.keyring.fingerprints()


def test_the_state_as_it_is_shown(story: Story, world: World) -> None:
    def shown(command: str) -> None:
        story.run(command, verb=status, looking=True)

    story.run("create-proxy")
    shown("status")
    story.run("rotate --now", Stroke("PUT qrs", 1, "crash after"))
    shown("status")
    story.run("rotate --now")
    by_hand(world, certificate_of(world, 1))
    shown("status")


@pytest.mark.parametrize("what", ["previous lives on", "current refused", "a proxy down"])
def test_verifying(story: Story, world: World, what: str) -> None:
    story.run("create-proxy")
    story.run("rotate --now")
    if what == "previous lives on":
        world.server.node(HOSTS[1]).stuck = True
        story.run("rotate --now")
    elif what == "current refused":
        world.server.edit(world.prefix, jwtAudience="somebody else")
        world.server.edit(world.prefix, jwtAudience="")
        world.server.node(HOSTS[1]).stuck = True
        by_hand(world, certificate_of(world, 1))
        story.run("recover")
        story.run("verify")
        by_hand(world, certificate_of(world, 2))
    else:
        world.server.node(HOSTS[1]).down = True
    story.run("verify")


def test_what_a_key_is_current_since(story: Story, world: World) -> None:
    """A certificate that somebody else made for the same key is the one that is kept from then on."""
    story.run("create-proxy")
    story.run("rotate --now")
    world.timeline.elapse(3600)
    by_hand(world, world.made[0].certificate("of another hand", 90, world.timeline.present()))
    assert story.run("recover").exit == 0
    assert len(world.one.certificates()) == 3


def test_a_certificate_that_is_back_before_its_restoration(story: Story, world: World) -> None:
    story.run("create-proxy")
    text = certificate_of(world, 1)
    by_hand(world, "")
    back = Stroke("PUT qrs", 1, None, meanwhile=lambda: by_hand(world, text))
    assert story.run("create-proxy", back, verb=create_proxy).exit == 0


def planned(scene: Scene) -> object:
    return create_proxy(scene, plan_only=True)


def test_creating_and_repairing(story: Story, world: World) -> None:
    story.run("create-proxy --plan", verb=planned, looking=True)  # type: ignore[arg-type]
    assert story.run("create-proxy").exit == 0
    assert story.run("create-proxy").exit == 0
    by_hand(world, "")
    assert story.run("create-proxy").exit == 0
    world.server.relink(world.prefix, HOSTS[:1])
    assert story.run("create-proxy").exit == 0
    world.server.delete(world.prefix)
    story.run("create-proxy --plan", verb=planned, looking=True)  # type: ignore[arg-type]
    assert story.run("create-proxy").exit == 0
    world.one.spec = replace(
        world.one.spec, description="Another", audience="qlik", named=frozenset({"description", "audience"})
    )
    assert story.run("create-proxy", verb=create_proxy).exit == 0


@pytest.mark.parametrize("label", ["POST qrs", "PUT qrs", "GET qrs", "set"])
@pytest.mark.parametrize("act", ["crash before", "crash after", "lost", "late", "refused", "409", "403"])
def test_creating_cut_short(story: Story, world: World, label: str, act: str) -> None:
    for nth in (1, 2, 3):
        story.run("create-proxy", Stroke(label, nth, act))
        world.watch()
    assert story.run("create-proxy").exit == 0


def test_the_first_key_fails_its_test(story: Story, world: World) -> None:
    world.server.node(HOSTS[1]).stuck = True
    assert story.run("create-proxy").exit == 1
    story.run("rotate --now")
    story.run("rotate")
    world.server.restart()
    assert story.run("create-proxy").exit == 0


def test_manual_consumers_are_not_put_off(story: Story, world: World) -> None:
    story.run("create-proxy")
    world.one.spec = replace(world.one.spec, consumers=Consumers.MANUAL)
    world.server.node(HOSTS[1]).down = True
    assert story.run("rotate --now", verb=lambda scene: rotate(scene, Options(now=True))).exit == 1
    assert world.one.ring().retry is None
