"""rotator's command line in a child of a process that has imported it already: what a user runs, less what starting costs.

Each run is a process of its own, with its own arguments, environment, folder and streams, and ends by itself; what it has in
common with the others is only the modules that were loaded before. Where the start itself is what is tested, or the
environment decides what is loaded, a test runs the interpreter anew.

One line of JSON and three descriptors on a connection ask for a run; one line tells its wait status.
"""

import atexit
import ctypes
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final


LIBRARIES: Final = (
    "rotator.cli.app",
    "rotator.cli.wiring",
    "rotator.adoption",
    "rotator.diagnosis",
    "rotator.inspection",
    "rotator.keystore.sealed_file",
    "rotator.keystore.secret_refs",
    "rotator.provisioning",
    "rotator.recovery",
    "rotator.report.document",
    "filelock",
    "encodings.idna",
)
PR_SET_PDEATHSIG: Final = 1
_LARGEST: Final = 1 << 20


def run(
    arguments: Sequence[str], *, stdin: str, environment: Mapping[str, str], limit: float
) -> "subprocess.CompletedProcess[str]":
    """rotator with these arguments; its exit status is negative where a signal ended it. Raises TimeoutError."""
    asked = {"arguments": [*arguments], "environment": dict(environment), "folder": str(Path.cwd())}
    with (
        tempfile.TemporaryFile("w+") as given,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
        socket.socket(socket.AF_UNIX) as connection,
    ):
        given.write(stdin)
        given.seek(0)
        connection.settimeout(limit)
        connection.connect(_server())
        line = json.dumps(asked).encode() + b"\n"
        socket.send_fds(connection, [line], [given.fileno(), out.fileno(), err.fileno()])
        told = connection.makefile().readline()
        status = os.waitstatus_to_exitcode(int(told))
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(arguments), status, out.read(), err.read())


@cache
def _server() -> str:
    """The address of the server of this test process, which ends with it."""
    folder = tempfile.TemporaryDirectory(prefix="rotator-")
    address = f"{folder.name}/forked"
    process = subprocess.Popen(
        (sys.executable, "-m", "forked", address),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
        cwd="/",
    )

    def end() -> None:
        process.kill()
        process.wait()
        folder.cleanup()

    atexit.register(end)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return address


def serve(address: str) -> None:
    """Until it is killed."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for library in LIBRARIES:
        importlib.import_module(library)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen(64)
        os.write(1, b"ready\n")
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                listening.close()
                _answer(connection)
            connection.close()


def _answer(connection: socket.socket) -> None:
    """One run, waited for: this process is its parent. Does not return, but as the run."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    line, descriptors, _, _ = socket.recv_fds(connection, _LARGEST, 3)
    while not line.endswith(b"\n"):
        line += connection.recv(_LARGEST)
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        connection.sendall(f"{status}\n".encode())
        os._exit(0)
    connection.close()
    asked = json.loads(line)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["rotator", *asked["arguments"]]
    runpy.run_module("rotator", run_name="__main__", alter_sys=True)
    sys.exit(0)


if __name__ == "__main__":
    serve(sys.argv[1])
