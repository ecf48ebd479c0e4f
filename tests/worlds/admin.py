"""A person who does what rotator's hints say, and nothing else, until a rotation has completed."""

import re
import sqlite3
from contextlib import closing
from typing import Final

from rotator.model import Stage
from rotator.state import database as journal_file
from worlds.rotators import Ended, Rotator, adopting, releasing, replacing
from worlds.server import HOSTS
from worlds.world import Broken, World


COMMAND: Final = re.compile(r"rotator (create-proxy|adopt|recover|release|rotate)\b")
HINTS: Final = 6
"""How many hints may follow each other before a rotation must go through."""
RUNS: Final = 2
"""How many runs a rotation may take, the end of an earlier one included."""


def settle(world: World, rotator: Rotator, *, ordinary: bool) -> list[Ended]:
    """The faults are gone: a rotation completes within two runs, and state, keyring and server agree.

    `ordinary`: nothing has happened that asks for a person, so the two runs alone must do; else hints are followed
    first. Returns the runs that it took.
    """
    calm(world)
    runs: list[Ended] = []
    for _ in range(0 if ordinary else HINTS):
        runs.append(_follow(world, rotator, runs[-1] if runs else None))
        if runs[-1].exit == 0 and rotator.unfinished is False and rotator.current is not None:
            break
    for _ in range(RUNS):
        before = rotator.current
        runs.append(rotator.run("rotate --now"))
        if runs[-1].exit == 0 and rotator.current != before:
            break
    else:
        raise Broken("no rotation completes: " + "; then ".join(f"{run.command}: {told(run)}" for run in runs))
    check_agreement(world, rotator)
    return runs


def calm(world: World) -> None:
    """No fault is left: what is late has landed, proxies are up, clocks are right, and forgotten sessions have ended."""
    while world.server.late:
        world.server.land(0)
        world.watch()
    world.server.restart()
    world.server.clock.offset = 0.0
    for rotator in world.rotators:
        rotator.clock.offset = 0.0
    world.timeline.elapse(3600)
    world.watch()


def _follow(world: World, rotator: Rotator, last: Ended | None) -> Ended:
    if last is None or last.exit == 0:
        return rotator.run("rotate --now")
    shown = world.shown()
    # What the keyring holds and its index does not name is nothing that rotator could find again.
    known = {key.fingerprint for key in rotator.ring().keys} & rotator.keyring.fingerprints()
    serves = shown == rotator.current and shown in known
    if "link it" in last.hint and "in the QMC" in last.hint and not serves:
        world.server.relink(world.prefix, HOSTS)
        return rotator.run("rotate --now")
    commands = COMMAND.findall(last.hint)
    if "adopt" in commands and shown is not None and shown not in known:
        key = world.key(shown)
        if key is not None:
            return rotator.run("adopt", verb=adopting(key))
        rotator.confirmed = shown
        return rotator.run("adopt", verb=replacing(shown, lost="--replace-lost-key" in last.hint))
    if commands[:1] == ["release"]:
        rotator.run("release", verb=releasing)
        return rotator.run("create-proxy")
    commands = [command for command in commands if command != "adopt"]
    if not commands:
        return rotator.run("rotate --now")
    return rotator.run("rotate --now" if commands[0] == "rotate" else commands[0])


def check_agreement(world: World, rotator: Rotator) -> None:
    """State, keyring and server say the same, and the current key logs in."""
    ring, shown = rotator.ring(), world.shown()
    current = [key.fingerprint for key in ring.keys if key.stage == "current"]
    if ring.intent is not None or current != [shown]:
        raise Broken(f"the ring does not agree with the server: {current}, {shown}, {ring.intent}")
    # A retired key goes before its line: cut short, the next prune goes on.
    wanted = {key.fingerprint for key in ring.keys if key.stage is not Stage.RETIRED}
    lacking = wanted - rotator.keyring.fingerprints() - world.lost
    if lacking:
        raise Broken(f"the ring names keys that the keyring does not hold: {lacking}")
    with closing(sqlite3.connect(rotator.state / journal_file.FILE)) as database:
        noted = [number for (number,) in database.execute("SELECT number FROM generation")]
    if ring.generation not in noted:
        raise Broken(f"the journal knows the generations {noted}, the keyring {ring.generation}")
    linked = world.server.linked(world.prefix)
    if not linked or any(world.served(host) != shown for host in linked):
        raise Broken("not every linked proxy serves the current key")
    world.check_logins()


def told(ended: Ended) -> str:
    """A run in one line."""
    return f"{ended.exit} {ended.message} ({ended.hint})" if ended.error else f"{ended.exit} {ended.message}"
