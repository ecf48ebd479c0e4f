"""A real gnome-keyring on a session bus of its own."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


PASSWORD = "a password of the keyring"


class SecretServiceDaemon:
    """gnome-keyring-daemon with its bus; what it stores lives in `home` and survives `restart`."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._bus: subprocess.Popen[str] | None = None
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("XDG")},
            "HOME": str(self.home),
            "XDG_DATA_HOME": str(self.home / "data"),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "DBUS_SESSION_BUS_ADDRESS": self.address,
        }

    def start(self, *, unlock: bool = True) -> None:
        (self.home / "run").mkdir(mode=0o700, exist_ok=True)
        self._bus = subprocess.Popen(
            ("dbus-daemon", "--session", "--nofork", "--print-address"), stdout=subprocess.PIPE, text=True
        )
        assert self._bus.stdout is not None
        self.address = self._bus.stdout.readline().strip()
        command = ["gnome-keyring-daemon", "--foreground", "--components=secrets"]
        self._daemon = subprocess.Popen(
            [*command, "--unlock"] if unlock else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self.environment,
        )
        assert self._daemon.stdin is not None
        assert self._daemon.stdout is not None
        self._daemon.stdin.write(PASSWORD.encode() if unlock else b"")
        self._daemon.stdin.close()
        # It prints its control directory once it owns its name on the bus.
        self._daemon.stdout.readline()

    def stop(self) -> None:
        for process in (self._daemon, self._bus):
            if process is not None:
                process.terminate()
                process.wait(10)
                for stream in (process.stdin, process.stdout):
                    if stream is not None:
                        stream.close()

    def restart(self, *, unlock: bool = True) -> None:
        self.stop()
        self.start(unlock=unlock)


@pytest.fixture
def secret_service(monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretServiceDaemon]:
    with tempfile.TemporaryDirectory(prefix="rotator-") as name:
        daemon = SecretServiceDaemon(Path(name))
        daemon.start()
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", daemon.address)
        yield daemon
        daemon.stop()
