"""Somebody else in the middle of a change: a person in the QMC, a second rotator, a run of the timer."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest
from worlds.effects import Stroke
from worlds.rotators import adopting
from worlds.server import CERTIFICATE, HOSTS
from worlds.telling import Story
from worlds.world import World


if TYPE_CHECKING:
    from collections.abc import Callable


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


def test_two_rotators_with_one_key(story: Story, world: World) -> None:
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
