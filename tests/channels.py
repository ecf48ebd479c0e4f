"""Every kind of channel for notices, and what came out of it: real hooks, a real TLS server, a sendmail that writes down."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from sandbox_process import Sandbox
from scripted import Scripted, answering


class Channels:
    """Every kind of channel, and what came out of each."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.folder = sandbox.folder / "channels"
        self.hooks = self.folder / "hooks.d"
        self.hooks.mkdir(parents=True)
        self.hook(
            "10-note", f"env | grep ^ROTATOR_ > {self.folder}/hook.$ROTATOR_NOTICE_ID; cat >> {self.folder}/stdin"
        )
        self.sendmail = self.folder / "sendmail"
        executable(self.sendmail, f'echo "$@" >> {self.folder}/arguments; cat > {self.folder}/mail.$$')
        self.posted: list[dict[str, object]] = []

    def hook(self, name: str, script: str) -> Path:
        return executable(self.hooks / name, script)

    def configure(self, *lines: str) -> None:
        with self.sandbox.config.open("a") as file:
            file.write("\n[notify]\n" + "\n".join(lines) + "\n")

    def script(self, handler: BaseHTTPRequestHandler) -> None:
        self.posted.append(json.loads(handler.rfile.read(int(handler.headers["Content-Length"]))))
        answering(204, b"")(handler)

    @property
    def hooked(self) -> list[dict[str, str]]:
        """The environment of each call of the first hook, in order."""
        files = sorted(self.folder.glob("hook.*"), key=lambda path: path.stat().st_mtime_ns)
        return [dict(line.split("=", 1) for line in file.read_text().splitlines()) for file in files]

    @property
    def mails(self) -> list[str]:
        return [
            path.read_text() for path in sorted(self.folder.glob("mail.*"), key=lambda path: path.stat().st_mtime_ns)
        ]

    def events(self) -> list[tuple[str, str]]:
        return [(told["ROTATOR_EVENT"], told["ROTATOR_REASON"]) for told in self.hooked]


def executable(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def hooked(portal: Sandbox) -> Channels:
    """A virtual proxy in place, and hooks."""
    channels = Channels(portal)
    channels.configure(f'hooks = "{channels.hooks}"')
    return channels


@pytest.fixture
def everywhere(portal: Sandbox) -> Iterator[Channels]:
    """The same with every kind of channel; the webhook's URL is a secret in a file."""
    channels = Channels(portal)
    with Scripted(channels.script, channels.folder) as server:
        url = channels.folder / "url"
        url.write_text(f"https://localhost:{server.port}/hook/SECRET-PATH?key=SECRET-QUERY\n")
        url.chmod(0o600)
        channels.configure(
            f'hooks = "{channels.hooks}"',
            f'webhook = "file:{url}"',
            f'webhook_ca = "{server.root}"',
            'mail = ["ops@example.com", "root"]',
            'mail_from = "rotator@example.com"',
            f'sendmail = "{channels.sendmail}"',
        )
        yield channels
