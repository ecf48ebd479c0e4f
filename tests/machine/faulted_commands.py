"""The commands that are struck by faults, by what they do to a virtual proxy."""

from collections.abc import Callable
from typing import Final

from machine.commands import COMMANDS, Command
from machine.host import Machine


def _released(machine: Machine) -> None:
    """A virtual proxy in use, whose key a person has in a file."""
    machine.settled()
    key = machine.sandbox.folder / "adopted.pem"
    key.unlink(missing_ok=True)
    assert machine.run("keys", "export", "portal", "--private", "--output", str(key)).status == 0
    machine.oracle.lose()
    assert machine.run("release", "portal", "--yes").status == 0


def _settled(machine: Machine) -> None:
    machine.settled()


def _absent(machine: Machine) -> None:
    machine.fresh()


def _given_to_consumers(machine: Machine) -> None:
    """A virtual proxy in use, whose keys may go."""
    machine.settled()
    (machine.sandbox.folder / "adopted.pem").unlink(missing_ok=True)
    machine.oracle.lose()


def _repair(machine: Machine) -> None:
    """A virtual proxy that somebody changed, unlinked from one proxy."""
    machine.settled()
    machine.oracle.disturb()


def command(name: str, arguments: str, before: Callable[[Machine], None] = _settled, again: str = "") -> Command:
    """A command from its line."""
    return Command(name, tuple(arguments.split()), before, tuple((again or arguments).split()))


KILLED: Final = {command.name: command for command in COMMANDS}
PRUNE: Final = KILLED["keys prune"]
INIT: Final = command(
    "init",
    "--config NEW/rotator.toml init --qrs QRS --root-ca SITE/root.pem --cert SITE/client.pem --key SITE/client_key.pem "
    "--prefix fresh --window any --keyring sealed-file --master-key file:NEW/master.key --state NEW/state",
)
READING: Final = (
    command("create-proxy --plan", "create-proxy --plan"),
    command("create-proxy (as desired)", "create-proxy --yes"),
    command("rotate --dry-run", "rotate --now --dry-run"),
    command("verify", "verify"),
    command("status", "status"),
    command("doctor", "doctor"),
    command("recover (settled)", "recover"),
    command("token --json", r"token portal --user CORP\alice --json"),
    INIT,
)
"""These change nothing in a virtual proxy that is well."""
WRITING: Final = (
    command("create-proxy", "create-proxy --yes", _absent),
    command("create-proxy (repair)", "create-proxy --yes", _repair),
    command("rotate", "rotate --now"),
    command("rotate --prepare", "rotate --prepare"),
    command("rollback", "rollback portal"),
    KILLED["undo"],
    KILLED["recover (forward)"],
    KILLED["recover (back)"],
    PRUNE,
)
TAKEN_BACK: Final = ("adopt", "portal", "--replace-key", "--yes", "--fingerprint", "FINGERPRINT")
TAKING: Final = (
    command("adopt --key", "adopt portal --key adopted.pem", _released),
    Command("adopt --replace-key", TAKEN_BACK, _released, TAKEN_BACK),
    KILLED["recover (lost key)"],
)
"""These find a virtual proxy whose key the keyring does not have."""
RELEASING: Final = (
    command("release", "release portal --yes", _given_to_consumers),
    command(
        "release --private-to",
        "release portal --yes --private-to adopted.pem",
        _given_to_consumers,
        again="release portal --yes",
    ),
)
"""After these there is no key here; `TAKEN_BACK` brings the virtual proxy into rotator's care again."""
BY_JWT: Final = (
    command("rotate (jwt)", "rotate portal --now"),
    command("rollback (jwt)", "rollback portal"),
)
"""These go through a virtual proxy, on a machine of their own."""
FAULTED: Final = (*READING, *WRITING, *TAKING, *RELEASING)
SILENT: Final = (("due",), ("keys", "list"), ("keys", "export", "portal"), ("history",))
"""These ask nothing of the server."""
