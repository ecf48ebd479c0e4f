"""A command killed at a point, what its machine does next, and what is broken then."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from waiting import eventually

from machine.commands import Command, filled
from machine.host import KILLED, Machine, Run, Stop


LATE = 0.3
"""Seconds by which a request is held back, so that it lands in the middle of the next run."""
ALONE = 0.5
"""The part of the crashes that nobody sees, of commands whose end the timer can bring."""
MISSED = 0.1
"""The part of the points that need not be reached, where waiting makes their number vary."""


@dataclass(frozen=True)
class Crash:
    """A command killed at `stop`. `late`: the server does what it was asked in the middle of the next run.

    `alone`: nobody sees it, and the timer runs next, not the person who would run the command again.
    """

    stop: Stop
    late: bool = False
    alone: bool = False

    def __str__(self) -> str:
        label, number = self.stop
        return f"killed {label} #{number}{', lands late' * self.late}{', then the timer' * self.alone}"


def points(machine: Machine, command: Command) -> list[Stop]:
    """Every boundary of the command, as it is when nothing disturbs it."""
    command.prepare(machine)
    run = machine.run(*filled(machine, command.arguments))
    machine.no_faults()
    assert run.status == command.status, run.told
    assert machine.rotates_within_two_runs(filled(machine, command.again)) == []
    return run.points


def crashed(
    machine: Machine, command: Command, crash: Crash, look: Callable[[], object] = lambda: None
) -> list[str] | None:
    """Kill the command, `look`, go on, and tell what is broken. None where it never came there."""
    command.prepare(machine)
    arguments = filled(machine, command.arguments)
    machine.sandbox.forget_requests()
    if crash.late:
        for method in ("PUT", "POST"):
            machine.sandbox.fault(f"slow={LATE}@qrs:{method}#*")
    run = machine.run(*arguments, stop=crash.stop)
    if crash.late and run.status == KILLED:
        eventually("the server has begun what was sent", lambda: _came(machine, run))
    if run.status == KILLED:
        look()
    machine.no_faults()
    machine.lose_power()
    broken = machine.oracle.broken_now()
    again = () if crash.alone else command.again
    broken += machine.rotates_within_two_runs(filled(machine, again))
    if broken:
        machine.fresh()
        return broken
    return [] if run.status == KILLED else None


def _came(machine: Machine, run: Run) -> bool:
    """Whether every request that the run sent, and that writes, has come: it is held back, or done already."""
    sent = [label for label, _ in run.points if label.startswith(("sent PUT", "sent POST"))]
    return machine.sandbox.holds_back() + len(machine.sandbox.requests("qrs", "PUT", "POST")) >= len(sent)


def crashes(
    machine: Machine, command: Command, cases: Sequence[Crash], look: Callable[[], object] = lambda: None
) -> tuple[int, list[str]]:
    """Crash in each of the cases, and `look` at each kill.

    Returns how many crashes there were, which may be fewer than the cases, and what was broken after which.
    """
    told, came = [], 0
    for case in cases:
        broken = crashed(machine, command, case, look)
        came += broken is not None
        told += [f"{command}, {case}: {what}" for what in broken or ()]
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
