"""SIGKILL before and after each effect of the commands that write; then the next ordinary run. An oracle looks at every stage.

The points are what `machine.boundaries` counts in a run that is not killed: each request (before it, when it is sent,
after its answer), each call of the keyring, each write of the journal, each file created, synced, renamed or removed.
"""

from collections.abc import Iterator

import pytest
from machine.commands import COMMANDS, Command
from machine.crashes import ALONE, Crash, behind, crashed, crashes, points
from machine.host import Machine, Stop, running
from sampling import drawn, record, sample


LEAST = 300
SAMPLE = 4
"""Points of each command in a run that does not soak, and half as many requests that land late."""
SLOWLY = (0.3, 0.6)
SAMPLE_SLOWLY = 3
"""Seconds that a proxy takes to have a change, and points of each command at which the proxies are still behind."""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with running(tmp_path_factory.mktemp("kill")) as made:
        yield made


def test_there_are_at_least_300_distinct_points(machine: Machine) -> None:
    found = {(command.name, *stop) for command in COMMANDS for stop in points(machine, command)}
    assert len(found) >= LEAST
    record("kill", "points", points=len(found))


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_killed_anywhere_the_next_run_gets_there(
    machine: Machine, command: Command, request: pytest.FixtureRequest
) -> None:
    every = points(machine, command)
    writes = [stop for stop in every if stop[0].startswith(("sent PUT", "sent POST"))]
    name = f"kill {command}"
    chance, alone = drawn(request.config, f"{name}, alone"), 0 if command.person else ALONE
    chosen = [Crash(stop, alone=chance.random() < alone) for stop in sample(request.config, name, every, SAMPLE)]
    late = sample(request.config, f"{name}, late", writes, SAMPLE // 2)
    chosen += [Crash(stop, late=True, alone=chance.random() < alone) for stop in late]
    killed, broken = crashes(machine, command, chosen)
    assert broken == []
    record("kill", command.name, killed=killed)


@pytest.fixture
def slowly(machine: Machine) -> Iterator[None]:
    """Each proxy takes a change after a while: for half of it it serves what it had, and then nothing."""
    machine.sandbox.control("POST", "/delay", SLOWLY)
    yield
    machine.sandbox.control("POST", "/delay", (0, 0))
    machine.arrived()


@pytest.mark.usefixtures("slowly")
@pytest.mark.parametrize("command", [each for each in COMMANDS if each.name in ("rotate", "rollback")], ids=str)
def test_killed_while_the_proxies_serve_the_old_certificate_the_next_run_gets_there(
    machine: Machine, command: Command, request: pytest.FixtureRequest
) -> None:
    """The server has the new certificate already: the points from its answer to the first test login."""
    every = points(machine, command)
    labels = [label for label, _ in every]
    first = next(index for index, label in enumerate(labels) if label.startswith("after PUT"))
    last = next(index for index, label in enumerate(labels) if index > first and label.startswith("sent GET /portal"))
    chosen = sample(request.config, f"kill {command}, slowly", every[first:last], SAMPLE_SLOWLY)
    seen: list[list[str]] = []
    _, broken = crashes(machine, command, [Crash(stop) for stop in chosen], look=lambda: seen.append(behind(machine)))
    assert broken == []
    record("kill", f"{command.name}, slowly", killed_with_proxies_behind=sum(map(bool, seen)))


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
    machine.settled()
    machine.plants = (plant,)
    try:
        broken = crashed(machine, command, Crash(stop))
    finally:
        machine.plants = ()
        machine.fresh()
    assert broken
