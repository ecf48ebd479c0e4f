"""A sandbox in a process of its own, and rotator as its user runs it."""

import json
import os
import ssl
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import forked
import pytest
from waiting import eventually


ROTATOR = (sys.executable, "-m", "rotator")
QUICK = ("--qrs-port", "0", "--qps-port", "0", "--proxy-port", "0", "--restart-delay", "0")
XRF = "0123456789abcdef"


@dataclass
class Ended:
    """How a run of rotator ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def result(self) -> Any:
        return self.json["results"][0]


@dataclass
class Sandbox:
    """A running sandbox; use it as a context manager."""

    folder: Path
    arguments: tuple[str, ...] = ()
    process: forked.Process = field(init=False, repr=False)
    ready: dict[str, Any] = field(init=False, repr=False)

    def __enter__(self) -> Self:
        command = ("sandbox", "--dir", str(self.folder), *QUICK, *self.arguments)
        reading, writing = os.pipe()
        with os.fdopen(reading) as out, tempfile.TemporaryFile("w+") as err, tempfile.TemporaryFile() as nothing:
            self.process = forked.Process(command, (nothing.fileno(), writing, err.fileno()), os.environ)
            os.close(writing)
            line = out.readline()
            if not line:
                self.process.wait(20)
                err.seek(0)
                raise AssertionError(f"the sandbox did not start: {err.read()}")
        self.ready = json.loads(line)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(20)

    @property
    def config(self) -> Path:
        return Path(self.ready["config"])

    def configure(self, *changes: tuple[str, str]) -> Path:
        """Change texts of the configuration; each must be there."""
        text = self.config.read_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        self.config.write_text(text)
        return self.config

    def rotator(self, *arguments: str, config: Path | None = None, stdin: str = "", **environment: str) -> Ended:
        """Run rotator without a terminal; with an `environment` of its own it is started from nothing."""
        command = ("--config", str(config or self.config), *arguments)
        if environment:
            ended = subprocess.run(
                (*ROTATOR, *command),
                input=stdin,
                capture_output=True,
                text=True,
                timeout=120,
                env={**os.environ, **environment},
            )
        else:
            ended = forked.run(command, stdin=stdin, environment=os.environ, limit=120)
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def control(self, method: str, path: str, body: object = None) -> Any:
        told = json.loads((self.folder / "control.json").read_text())
        request = urllib.request.Request(
            f"http://127.0.0.1:{told['port']}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {told['token']}"},
        )
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return json.load(answer)

    def qrs(self, method: str, path: str, body: object = None) -> Any:
        """What QRS answers its admin, who shows the client certificate; `path` begins with /qrs."""
        trust = ssl.create_default_context(cafile=str(self.folder / "root.pem"))
        trust.load_cert_chain(self.folder / "client.pem", self.folder / "client_key.pem")
        request = urllib.request.Request(
            f"{self.ready['qrs']}{path}?xrfkey={XRF}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Qlik-Xrfkey": XRF, "X-Qlik-User": "UserDirectory=INTERNAL; UserId=sa_api"},
        )
        https = urllib.request.HTTPSHandler(context=trust)
        with urllib.request.build_opener(urllib.request.ProxyHandler({}), https).open(request, timeout=60) as answer:
            told = answer.read()
            return json.loads(told) if told else None

    def virtual_proxy(self, prefix: str = "portal") -> dict[str, Any]:
        """The whole entity, as its admin sees it."""
        found: list[dict[str, Any]] = self.qrs("GET", "/qrs/virtualproxyconfig/full")
        return next(entity for entity in found if entity["prefix"] == prefix)

    def fault(self, text: str) -> None:
        self.control("POST", "/faults", text)

    def requests(self, service: str = "qrs", *methods: str) -> list[dict[str, Any]]:
        log = self.control("GET", "/requests")
        return [entry for entry in log if entry["service"] == service and (not methods or entry["method"] in methods)]

    def forget_requests(self) -> None:
        self.control("DELETE", "/requests")

    def holds_back(self) -> int:
        """How many requests the fault `slow` is holding back."""
        return int(self.control("GET", "/held"))

    def wait_held(self, process: "subprocess.Popen[Any]", beyond: int = 0) -> None:
        """Wait until more than `beyond` requests are held back. Raises AssertionError where `process` ends before."""
        assert self.held_or_ended(process, beyond), f"no request was held back: {process!r}"

    def held_or_ended(self, process: "subprocess.Popen[Any]", beyond: int = 0) -> bool:
        """Wait until more than `beyond` requests are held back, which is true, or `process` has ended, which is false."""
        held = False

        def decided() -> bool:
            nonlocal held
            ended = process.poll() is not None
            held = self.holds_back() > beyond
            return held or ended

        eventually("a request is held back", decided)
        return held


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for anything."""
    with tempfile.TemporaryDirectory(prefix="rotator-") as name:
        yield Path(name)


@pytest.fixture
def sandbox(folder: Path) -> Iterator[Sandbox]:
    """Two nodes, changes applied at once, keys of 2048 bits."""
    with Sandbox(folder, ("--nodes", "2")) as running:
        running.configure(('every = "30d"', 'every = "30d"\nkey_bits = 2048\nsettle_timeout = "10s"'))
        yield running


@pytest.fixture
def portal(sandbox: Sandbox) -> Sandbox:
    """The same with the virtual proxy in place."""
    ended = sandbox.rotator("create-proxy", "--yes")
    assert ended.status == 0, ended.err
    return sandbox
