"""The daemon in a process of its own, with a socket on which it tells what systemd would be told."""

import os
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Self

from sandbox_process import ROTATOR, Sandbox

from rotator.cli.keyring import Keyring
from rotator.config import load
from rotator.recorded import Unrecorded


PATIENCE = 60.0
"""Seconds after which something that does not come is given up."""


def age(sandbox: Sandbox, days: int = 60) -> None:
    """Make every key so many days older than it is."""
    config = load(sandbox.config, {})
    keyring = Keyring(config)
    for spec in config.proxies.values():
        items = keyring.writable(spec, Unrecorded())
        ring = items.ring()
        by = timedelta(days=days)
        older = [replace(key, created=key.created - by, since=key.since - by) for key in ring.keys]
        items.save(replace(ring, keys=tuple(older)))


@dataclass
class DaemonProcess:
    """A running daemon; use it as a context manager. `watchdog` is how closely systemd would watch, in seconds."""

    sandbox: Sandbox
    watchdog: float = 0.0
    abstract: bool = False
    command: tuple[str, ...] = ROTATOR
    process: subprocess.Popen[str] = field(init=False, repr=False)
    heard: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory(prefix="rotator-notify-")
        path = f"{self._folder.name}/notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + path if self.abstract else path)
        self._socket.settimeout(PATIENCE)
        self._errors = Path(self._folder.name, "stderr").open("w+")
        environment = {**os.environ, "NOTIFY_SOCKET": f"@{path}" if self.abstract else path}
        if self.watchdog:
            environment["WATCHDOG_USEC"] = str(int(self.watchdog * 1e6))
        self.process = subprocess.Popen(
            (*self.command, "--config", str(self.sandbox.config), "daemon"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            text=True,
            env=environment,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(PATIENCE)
        self._socket.close()
        self._errors.close()
        self._folder.cleanup()

    def hear(self, text: str) -> str:
        """The next message that holds `text`; those before it are kept in `heard`."""
        while True:
            try:
                message = self._socket.recv(65536).decode()
            except TimeoutError:
                raise AssertionError(f"never heard {text!r}, but {self.heard}; {self.errors()}") from None
            self.heard.append(message)
            if text in message:
                return message

    def silent(self, text: str, seconds: float) -> bool:
        """Whether `text` is not heard for so long."""
        self._socket.settimeout(seconds)
        try:
            self.hear(text)
        except AssertionError:
            return True
        finally:
            self._socket.settimeout(PATIENCE)
        return False

    def errors(self) -> str:
        """What it has written so far."""
        return Path(self._errors.name).read_text()

    def child(self) -> int:
        """The process of the run that it has begun and tells of."""
        return int(self.errors().split("(process ")[1].split(")")[0])

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """SIGTERM, and its exit status."""
        self.send(signal.SIGTERM)
        return self.process.wait(PATIENCE)
