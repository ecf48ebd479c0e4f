"""A command killed at a point, what its machine does next, and what is broken then."""

import math
from collections.abc import Callable

from waiting import eventually

from machine.commands import Command
from machine.host import KILLED, Machine, Run, Stop


LATE = 0.3
"""Seconds by which a request is held back, so that it lands in the middle of the next run."""
MISSED = 0.1
"""The part of the points that need not be reached, where waiting makes their number vary."""


def points(machine: Machine, command: Command) -> list[Stop]:
    """Every boundary of the command, as it is when nothing disturbs it."""
    command.prepare(machine)
    run = machine.run(*command.arguments)
    machine.no_faults()
    assert run.status == command.status, run.told
    assert machine.rotates_within_two_runs(command.again) == []
    return run.points


def crashed(
    machine: Machine, command: Command, stop: Stop, *, late: bool = False, look: Callable[[], object] = lambda: None
) -> list[str] | None:
    """Kill the command at `stop`, go on, and tell what is broken. None where it never came there.

    `late`: the server does what it was asked in the middle of the next run. `look` is called at the kill.
    """
    command.prepare(machine)
    machine.sandbox.forget_requests()
    if late:
        for method in ("PUT", "POST"):
            machine.sandbox.fault(f"slow={LATE}@qrs:{method}#*")
    run = machine.run(*command.arguments, stop=stop)
    if late and run.status == KILLED:
        eventually("the server has begun what was sent", lambda: _came(machine, run))
    if run.status == KILLED:
        look()
    machine.no_faults()
    machine.lose_power()
    broken = machine.oracle.broken_now()
    broken += machine.rotates_within_two_runs(command.again)
    if broken:
        machine.fresh()
        return broken
    return [] if run.status == KILLED else None


def _came(machine: Machine, run: Run) -> bool:
    """Whether every request that the run sent, and that writes, has come: it is held back, or done already."""
    sent = [label for label, _ in run.points if label.startswith(("sent PUT", "sent POST"))]
    return machine.sandbox.holds_back() + len(machine.sandbox.requests("qrs", "PUT", "POST")) >= len(sent)


def crashes(
    machine: Machine, command: Command, cases: list[tuple[Stop, bool]], look: Callable[[], object] = lambda: None
) -> tuple[int, list[str]]:
    """Crash at each of the cases (where, and whether it lands late), and `look` at each kill.

    Returns how many crashes there were, which may be fewer than the cases, and what was broken after which.
    """
    told, came = [], 0
    for stop, late in cases:
        broken = crashed(machine, command, stop, late=late, look=look)
        came += broken is not None
        told += [f"{command}, killed {stop[0]} #{stop[1]}{', lands late' * late}: {what}" for what in broken or ()]
    enough(came, len(cases))
    return came, told


def behind(machine: Machine) -> list[str]:
    """The linked proxies on which the key that the server shows does not log in yet."""
    keyring, server = machine.oracle.keyring(), machine.oracle.server()
    if server is None or server.fingerprint not in keyring.keys:
        return []
    key = keyring.keys[server.fingerprint]
    return [host for host in server.linked if machine.oracle.login(host, key) != "in"]


def enough(came: int, cases: int) -> None:
    """Raise AssertionError where more cases than may never came to what they are cases of."""
    assert cases - came <= math.ceil(MISSED * cases), f"{cases - came} of {cases} points were not reached"
