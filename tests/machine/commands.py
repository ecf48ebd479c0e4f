"""The commands that are killed: what stands before each, what is run, and what its person runs again."""

import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from machine.host import DAY, HOUR, KILLED, Machine, Stop


STUCK = "stuck=rim1.localhost"
"""One proxy never takes the new certificate: the test fails, and the rotation is undone."""
SENT: Stop = ("after PUT /qrs/virtualproxyconfig/ID of localhost", 1)
SENT_BACK: Stop = ("before PUT /qrs/virtualproxyconfig/ID of localhost", 2)


@dataclass(frozen=True)
class Command:
    """`before` brings the machine there; `again` is what a person runs after the crash, nothing where a timer does.

    `person`: the timer cannot end what it leaves. There may be no key yet to rotate; or of a retired key there is only
    the name left, which the next prune takes away.
    """

    name: str
    arguments: tuple[str, ...]
    before: Callable[[Machine], None]
    again: tuple[str, ...] = ()
    fault: str | None = None
    status: int = 0
    person: bool = False

    def __str__(self) -> str:
        return self.name

    def prepare(self, machine: Machine) -> None:
        """From anywhere to the instant before the command."""
        machine.oracle.lost = {}
        self.before(machine)
        machine.later(2 * HOUR)
        if self.fault:
            machine.sandbox.fault(self.fault)


def _nothing(machine: Machine) -> None:
    machine.fresh()


def _settled(machine: Machine) -> None:
    machine.settled()


def _old_keys(machine: Machine) -> None:
    """Two retired keys that are old enough to go."""
    machine.settled()
    machine.later(8 * DAY)
    for arguments in (("keys", "prune", "--keep", "0"), ("rotate", "--now"), ("rotate", "--now")):
        assert machine.run(*arguments).status == 0
    machine.later(8 * DAY)


def _killed_at(machine: Machine, stop: Stop, fault: str | None = None) -> None:
    machine.settled()
    machine.later(2 * HOUR)
    if fault:
        machine.sandbox.fault(fault)
    assert machine.run("rotate", stop=stop).status == KILLED
    machine.no_faults()
    machine.sync()


def _sent(machine: Machine) -> None:
    _killed_at(machine, SENT)


def _sent_and_state_lost(machine: Machine) -> None:
    _sent(machine)
    shutil.rmtree(machine.disk / "state")
    machine.sync()


def _sent_back(machine: Machine) -> None:
    _killed_at(machine, SENT_BACK, STUCK)


def _lost(machine: Machine) -> None:
    """A virtual proxy in use, whose keyring is gone."""
    machine.settled()
    machine.oracle.lose()
    shutil.rmtree(machine.disk / "keys")
    machine.sync()


PRUNE = ("keys", "prune", "--keep", "0")
REPLACE_LOST = ("recover", "portal", "--replace-lost-key", "--yes", "--fingerprint", "FINGERPRINT")
COMMANDS = (
    Command("create-proxy", ("create-proxy", "--yes"), _nothing, again=("create-proxy", "--yes"), person=True),
    Command("rotate", ("rotate",), _settled),
    Command("undo", ("rotate",), _settled, fault=STUCK, status=1),
    Command("rollback", ("rollback", "portal"), _settled, again=("rollback", "portal")),
    Command("recover (forward)", ("recover", "portal"), _sent, again=("recover", "portal")),
    Command("recover (back)", ("recover", "portal"), _sent_back, again=("recover", "portal")),
    Command("recover (no state)", ("recover", "portal"), _sent_and_state_lost, again=("recover", "portal")),
    Command("recover (lost key)", REPLACE_LOST, _lost, again=REPLACE_LOST, person=True),
    Command("keys prune", PRUNE, _old_keys, again=PRUNE, person=True),
)


def filled(machine: Machine, arguments: Sequence[str]) -> list[str]:
    """The arguments with the server's fingerprint, the site's URL and folder, and a new folder in their places."""
    server = machine.oracle.server()
    new = machine.sandbox.folder / "new"
    shutil.rmtree(new, ignore_errors=True)
    places = {
        "FINGERPRINT": (server.fingerprint if server else None) or "",
        "adopted.pem": str(machine.sandbox.folder / "adopted.pem"),
        "QRS": machine.sandbox.ready["qrs"],
        "SITE": str(machine.sandbox.folder),
        "NEW": str(new),
    }
    return [re.sub("|".join(places), lambda found: places[found[0]], item) for item in arguments]
