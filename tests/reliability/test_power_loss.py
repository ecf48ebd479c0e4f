"""The power fails at a boundary: every write that was not synced is lost. Then the next ordinary run.

`machine/power.c` keeps what each fsync made durable; after the kill state and keyring are rebuilt from that alone.
"""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine.commands import COMMANDS, Command
from machine.crashes import ALONE, Crash, crashes, points
from machine.host import Machine, Stop, running
from machine.power import Disk
from sampling import drawn, record, sample


SAMPLE = 3
"""Points of each command in a run that does not soak."""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with running(tmp_path_factory.mktemp("power"), power=True) as made:
        yield made


WRITER = """
import os, signal
from pathlib import Path

def write(name, text, *, sync):
    with open(name, "w") as file:
        file.write(text)
        file.flush()
        sync and os.fsync(file.fileno())

def sync_folder(name):
    folder = os.open(name, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)

os.chdir({root!r})
os.mkdir("inside")
write("kept", "first", sync=True)
write("renamed", "first", sync=True)
write("never synced", "lost", sync=False)
write("removed", "still there", sync=True)
write("inside/kept", "first", sync=True)
sync_folder("inside")
sync_folder(".")
write("kept", "second, which is lost", sync=False)
write("renamed.new", "second", sync=True)
os.rename("renamed.new", "renamed")
os.unlink("removed")
write("too late", "synced, but in no listing", sync=True)
write("inside/kept", "second", sync=True)
write("inside/too late", "synced, but in no listing", sync=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_disk_loses_what_was_not_synced_and_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "disk"
    root.mkdir()
    disk = Disk(root, tmp_path / "shadow")
    ended = subprocess.run((sys.executable, "-c", WRITER.format(root=str(root))), env=disk.environment)
    assert ended.returncode == -signal.SIGKILL
    disk.lose_power()
    left = {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}
    assert left == {
        "kept": "first",
        "renamed": "first",
        "never synced": "",
        "removed": "still there",
        "inside/kept": "second",
    }


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_the_power_fails_anywhere_and_the_next_run_gets_there(
    machine: Machine, command: Command, request: pytest.FixtureRequest
) -> None:
    chosen = sample(request.config, f"power {command}", points(machine, command), SAMPLE)
    chance, alone = drawn(request.config, f"power {command}, alone"), 0 if command.person else ALONE
    cut, broken = crashes(machine, command, [Crash(stop, alone=chance.random() < alone) for stop in chosen])
    assert broken == []
    record("power", command.name, cut=cut)


SET: Stop = ("after PUT /qrs/virtualproxyconfig/ID of localhost", 1)
CREATED: Stop = ("after POST /qrs/virtualproxyconfig of localhost", 1)


@pytest.mark.parametrize(
    ("plant", "name", "stop"),
    [
        ("nothing_is_synced", "rotate", SET),
        ("folders_are_not_synced", "rotate", SET),
        ("new_folders_are_not_synced", "create-proxy", CREATED),
    ],
)
def test_an_fsync_left_out_is_found(machine: Machine, plant: str, name: str, stop: Stop) -> None:
    command = next(command for command in COMMANDS if command.name == name)
    machine.settled()
    machine.plants = (plant,)
    try:
        _, broken = crashes(machine, command, [Crash(stop)])
    finally:
        machine.plants = ()
        machine.fresh()
    assert any("not in the keyring" in what for what in broken), broken
