"""SIGKILL before and after each effect of six commands; then the next ordinary run. An oracle looks at every stage.

The points are what `machine.boundaries` counts in a run that is not killed: each request (before it, when it is sent,
after its answer), each call of the keyring, each write of the journal, each file created, synced, renamed or removed.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from machine.commands import COMMANDS, Command
from machine.host import KILLED, Machine, Stop, running
from sampling import record, sample


LEAST = 300
SAMPLE = 10
"""Points of each command in a run that does not soak, and half as many requests that land late."""
LATE = 0.3
"""Seconds by which a request is held back, so that it lands in the middle of the next run."""
MISSED = 0.1
"""The part of the points that a run may not reach, where waiting makes their number vary."""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with running(tmp_path_factory.mktemp("kill")) as made:
        yield made


def points(machine: Machine, command: Command) -> list[Stop]:
    """Every boundary of the command, as it is when nothing disturbs it."""
    command.prepare(machine)
    run = machine.run(*command.arguments)
    machine.no_faults()
    assert run.status == command.status, run.told
    assert machine.rotates_within_two_runs(command.again) == []
    return run.points


def killed(machine: Machine, command: Command, stop: Stop, *, late: bool = False) -> list[str] | None:
    """Kill the command at `stop` and go on; what is broken then. None where it never came there.

    `late`: the server does what it was asked in the middle of the next run.
    """
    command.prepare(machine)
    if late:
        for method in ("PUT", "POST"):
            machine.sandbox.fault(f"slow={LATE}@qrs:{method}#*")
    run = machine.run(*command.arguments, stop=stop)
    while late and run.status == KILLED and not machine.sandbox.control("GET", "/held"):
        pass
    machine.no_faults()
    machine.lose_power()
    broken = machine.oracle.broken_now()
    broken += machine.rotates_within_two_runs(command.again)
    if broken:
        machine.fresh()
        return broken
    return [] if run.status == KILLED else None


def tried(machine: Machine, command: Command, cases: list[tuple[Stop, bool]]) -> list[str]:
    """Kill at each of them; what was broken where."""
    told, missed = [], 0
    for stop, late in cases:
        broken = killed(machine, command, stop, late=late)
        missed += broken is None
        told += [f"{command}, killed {stop[0]} #{stop[1]}{', lands late' * late}: {what}" for what in broken or ()]
    assert missed <= MISSED * len(cases), f"{missed} of {len(cases)} points were not reached"
    return told


def test_there_are_at_least_300_distinct_points(machine: Machine) -> None:
    found = {(command.name, *stop) for command in COMMANDS for stop in points(machine, command)}
    record("kill", "points", points=len(found))
    assert len(found) >= LEAST


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_killed_anywhere_the_next_run_gets_there(
    machine: Machine, command: Command, request: pytest.FixtureRequest
) -> None:
    every = points(machine, command)
    writes = [stop for stop in every if stop[0].startswith(("sent PUT", "sent POST"))]
    name = f"kill {command}"
    chosen = [(stop, False) for stop in sample(request.config, name, every, SAMPLE)]
    chosen += [(stop, True) for stop in sample(request.config, f"{name}, late", writes, SAMPLE // 2)]
    record("kill", command.name, killed=len(chosen))
    assert tried(machine, command, chosen) == []


@pytest.mark.parametrize(
    ("plant", "name", "stop"),
    [
        ("promote_before_test", "undo", ("before GET /portal/qps/csrftoken of rim1.localhost", 2)),
        ("send_before_the_intent", "rotate", ("before keyring set index", 2)),
        ("send_before_the_key_is_stored", "rotate", ("before keyring set key", 1)),
    ],
)
def test_a_bug_planted_on_purpose_is_found(machine: Machine, plant: str, name: str, stop: Stop) -> None:
    command = next(command for command in COMMANDS if command.name == name)
    machine.plants = (plant,)
    try:
        broken = killed(machine, command, stop)
    finally:
        machine.plants = ()
        machine.fresh()
    assert broken
