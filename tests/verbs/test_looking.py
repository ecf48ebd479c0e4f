"""status and verify: how things are, and which key logs in."""

import pytest
from worlds.by_hand import by_hand, certificate_of
from worlds.effects import Stroke
from worlds.losses import lose_keys
from worlds.rotators import Verb, rotating
from worlds.server import HOSTS
from worlds.telling import Story
from worlds.world import World

from rotator.inspection import status
from rotator.provisioning import create_proxy


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


def test_a_change_cut_short_whose_new_key_is_lost(story: Story, world: World) -> None:
    """It was rotator that put it there, and rotator that puts the old one back."""
    story.run("create-proxy")
    assert story.run("rotate --now", Stroke("PUT qrs", 1, "crash after")).crashed
    lose_keys(world, world.made[1].fingerprint)
    for ended in (story.run("verify"), story.run("status", verb=status, looking=True)):
        assert (ended.exit, "is not finished, and the private key of" in ended.message) == (4, True)
    assert story.run("recover").exit == 0
    world.check_logins()


@pytest.mark.parametrize(
    ("command", "verb"),
    [
        ("rotate --dry-run", rotating(now=True, dry_run=True)),
        ("create-proxy --plan", lambda scene: create_proxy(scene, plan_only=True)),
    ],
)
def test_what_would_be_done_over_an_older_copy_of_the_keyring(world: World, command: str, verb: Verb) -> None:
    """Nothing, as the run itself says, though the key that the server shows is in it."""
    world.one.run("create-proxy")
    copy = dict(world.one.keyring.items)
    world.one.run("rotate --now")
    world.one.run("rollback")
    world.lose_keyring(world.one, copy)
    looked, done = world.one.run(command, verb=verb, looking=True), world.one.run(command.split(maxsplit=1)[0])
    assert (looked.exit, looked.message, looked.hint) == (done.exit, done.message, done.hint)
    assert (looked.error is not None and looked.error.reason, looked.exit) == ("RestoredKeyring", 4)
    assert world.one.run("recover").exit == 0
    assert world.one.run(command, verb=verb, looking=True).exit == 0
