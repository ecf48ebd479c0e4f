"""rotator's command line in a child of a process that has imported it already: what a user runs, less what starting costs.

Each run is a process of its own, with its own arguments, environment, folder and streams, and ends by itself; what it has in
common with the others is only the modules that were loaded before; and sandboxes the keys of their servers and clients, each
signed by a root of its own. Where the start itself is what is tested, or the environment decides what is loaded, a test runs
the interpreter anew.

One line of JSON and descriptors on a connection ask for a run; a line tells its process, another its wait status.
"""

import atexit
import ctypes
import importlib
import itertools
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Final, NoReturn


LIBRARIES: Final = (
    "encodings.ascii",
    "encodings.idna",
    "filelock",
    "jwt",
    "pwd",
    "rotator.adoption",
    "rotator.cli.app",
    "rotator.cli.files",
    "rotator.cli.wiring",
    "rotator.diagnosis",
    "rotator.inspection",
    "rotator.keystore.sealed_file",
    "rotator.keystore.secret_refs",
    "rotator.ownership.modes",
    "rotator.provisioning",
    "rotator.recovery",
    "rotator.report.document",
    "rotator.rotation",
    "typer._click.decorators",
)
"""What nearly every run of rotator loads."""
PR_SET_PDEATHSIG: Final = 1
CLONE_NEWNET: Final = 0x40000000
NETWORK: Final = Path("/proc/thread-self/ns/net")
"""The network that a test is in, which may be its own."""
_LARGEST: Final = 1 << 20
_SITE_KEYS: Final = 4
"""How many keys a sandbox makes besides that of its root."""


def run(
    arguments: Sequence[str], *, stdin: str, environment: Mapping[str, str], limit: float
) -> "subprocess.CompletedProcess[str]":
    """rotator with these arguments, to its end. Raises TimeoutExpired after `limit` seconds; it goes on then."""
    with (
        tempfile.TemporaryFile("w+") as given,
        tempfile.TemporaryFile("w+") as out,
        tempfile.TemporaryFile("w+") as err,
    ):
        given.write(stdin)
        given.seek(0)
        streams = (given.fileno(), out.fileno(), err.fileno())
        status = Process(arguments, streams, environment).wait(limit)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(list(arguments), status, out.read(), err.read())


class Process:
    """A run of rotator, with the streams (descriptors) and the environment that it is given, in the network of this thread; to be used as `subprocess.Popen` is."""

    def __init__(self, arguments: Sequence[str], streams: Sequence[int], environment: Mapping[str, str]) -> None:
        asked = {"arguments": [*arguments], "environment": dict(environment), "folder": str(Path.cwd())}
        self._status: int | None = None
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(_server())
        network = os.open(NETWORK, os.O_RDONLY)
        line = json.dumps(asked).encode() + b"\n"
        socket.send_fds(self._connection, [line], [*streams, network])
        os.close(network)
        self._told = self._connection.makefile()
        self.pid = int(self._told.readline())

    def poll(self) -> int | None:
        """The exit status, negative where a signal ended it; None while it runs."""
        if self._status is None and select.select([self._connection], [], [], 0)[0]:
            self._ended()
        return self._status

    def wait(self, limit: float) -> int:
        """The same, once it has ended. Raises TimeoutExpired after `limit` seconds."""
        if self._status is None and not select.select([self._connection], [], [], limit)[0]:
            raise subprocess.TimeoutExpired("rotator", limit)
        return self._ended() if self._status is None else self._status

    def _ended(self) -> int:
        self._status = os.waitstatus_to_exitcode(int(self._told.readline()))
        self._told.close()
        self._connection.close()
        return self._status

    def send_signal(self, number: int) -> None:
        """Nothing where it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


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
    end_with_parent()
    for library in (*LIBRARIES, "rotator.sandbox.site"):
        importlib.import_module(library)
    give_keys()
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


def give_keys() -> None:
    """Each process to come that is a sandbox makes the key of its root, the first, and takes these for all others."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    from rotator.sandbox import certificates

    made = [rsa.generate_private_key(65537, certificates.KEY_BITS) for _ in range(_SITE_KEYS)]
    following = itertools.chain([None], itertools.cycle(made))

    def given(exponent: int, bits: int) -> rsa.RSAPrivateKey:
        return next(following) or rsa.generate_private_key(exponent, bits)

    vars(certificates)["rsa"] = SimpleNamespace(generate_private_key=given)


def end_with_parent() -> None:
    """This process is killed when the one that forked it ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _answer(connection: socket.socket) -> None:
    """One run, waited for: this process is its parent. Does not return, but as the run."""
    end_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    line, descriptors, _, _ = socket.recv_fds(connection, _LARGEST, 4)
    while not line.endswith(b"\n"):
        line += connection.recv(_LARGEST)
    child = os.fork()
    if child:
        connection.sendall(f"{child}\n".encode())
        for descriptor in descriptors:
            os.close(descriptor)
        _, status = os.waitpid(child, 0)
        connection.sendall(f"{status}\n".encode())
        os._exit(0)
    end_with_parent()
    connection.close()
    asked = json.loads(line)
    network = descriptors.pop()
    if os.fstat(network).st_ino != NETWORK.stat().st_ino:
        assert ctypes.CDLL(None).setns(network, CLONE_NEWNET) == 0
    os.close(network)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["rotator", *asked["arguments"]]
    try:
        runpy.run_module("rotator", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        _end(ended.code)
    _end(None)


def _end(code: object) -> NoReturn:
    """End as the interpreter does, but for taking apart what the server loaded, which copies its memory page by page."""
    if not (code is None or isinstance(code, int)):
        sys.exit(str(code))
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    status = code or 0
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except OSError:
            status = 120
    os._exit(status)


if __name__ == "__main__":
    serve(sys.argv[1])
