"""rotator demo: the whole story against a sandbox of its own, as an admin would type it."""

import json
import os
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import typer

from rotator.errors import RotatorError, ServerUnreachable


USER: Final = r"CORP\alice"
LIMIT: Final = 30.0
"""Seconds the sandbox may take to answer, and to stop."""


def demo() -> None:
    """Tell the whole story against a stand-in for Qlik Sense: create, log in, rotate, and the old token refused.

    Takes less than a minute, listens on loopback alone, and leaves nothing behind.
    """
    with tempfile.TemporaryDirectory(prefix="rotator-demo-") as folder, _sandbox(Path(folder)) as ready:
        _story(Path(folder), ready)


def _story(folder: Path, ready: dict[str, object]) -> None:
    from rotator.qlik import tls

    config = str(ready["config"])
    proxies = ready["proxies"]
    assert isinstance(proxies, list)  # noqa: S101 - the sandbox's ready line
    url = f"{proxies[0]['url']}/portal/qps/user"
    trust = tls.trusting(str(folder / "root.pem"))

    _say(f"A stand-in for Qlik Sense listens on loopback, with {len(proxies)} proxies.")
    _say("What would create-proxy do? --plan changes nothing.")
    _rotator(config, "create-proxy", "--plan")
    _say("Create the virtual proxy, link it, set its first key, and test a login on every proxy.")
    _rotator(config, "create-proxy", "--yes")
    _say(f"A token for {USER}, signed with the key in the keyring, logs in:")
    old = _rotator(config, "token", "portal", "--user", USER, quiet=True)
    _expect(_login(url, old, trust), 200)
    _say("Rotate the key. The proxies restart, so every session on them ends.")
    _rotator(config, "rotate", "--now", "--yes")
    _say("The old token was good for five minutes. It is refused now:")
    _expect(_login(url, old, trust), 401)
    _say("A token signed with the new key logs in:")
    _expect(_login(url, _rotator(config, "token", "portal", "--user", USER, quiet=True), trust), 200)
    _say("verify asks every proxy: the current key, and nothing else, is accepted.")
    _rotator(config, "verify")
    _rotator(config, "status")
    _say("That is all. The sandbox is stopped and its folder deleted.")


@contextmanager
def _sandbox(folder: Path) -> Iterator[dict[str, object]]:
    """A sandbox with two nodes on free ports, stopped at the end."""
    ports = ("--qrs-port", "0", "--qps-port", "0", "--proxy-port", "0")
    command = (*_SELF, "sandbox", "--dir", str(folder), *ports, "--nodes", "2")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=_environment()) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            line = process.stdout.readline()
            if not line:
                raise ServerUnreachable("the sandbox did not start", hint="its error stands above")
            yield json.loads(line)
        finally:
            process.terminate()
            process.wait(LIMIT)


_SELF: Final = (sys.executable, "-P", "-m", "rotator")
"""Never a module `rotator` of the working folder."""


def _environment() -> dict[str, str]:
    """Without the credentials of a unit: a demo needs none."""
    return {name: value for name, value in os.environ.items() if name != "CREDENTIALS_DIRECTORY"}


def _rotator(config: str, *arguments: str, quiet: bool = False) -> str:
    """Run rotator as a person would, showing command and output; a `quiet` one keeps its output back."""
    typer.echo(f"    $ rotator {' '.join(_quoted(argument) for argument in arguments)}")
    environment = {**_environment(), "ROTATOR_CONFIG": config}
    ended = subprocess.run(
        (*_SELF, *arguments), env=environment, stdout=subprocess.PIPE, text=True, check=False, stdin=subprocess.DEVNULL
    )
    shown = f"{ended.stdout[:24]}…" if quiet else ended.stdout.rstrip("\n")
    for line in shown.splitlines():
        typer.echo(f"    {line}")
    if ended.returncode:
        raise RotatorError(f"rotator {arguments[0]} ended with {ended.returncode}", hint="its error stands above")
    return ended.stdout.strip()


def _quoted(argument: str) -> str:
    return f"'{argument}'" if "\\" in argument else argument


def _login(url: str, token: str, trust: ssl.SSLContext) -> tuple[int, str]:
    """The proxy's answer to a request with this token: status, and whom it took it for."""
    typer.echo(f"    $ curl -H 'Authorization: Bearer {token[:12]}…' {url}")
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})  # noqa: S310 - https, ours
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    try:
        with opener.open(request, timeout=LIMIT) as answer:
            user = json.load(answer)
            return answer.status, f"logged in as {user['userDirectory']}\\{user['userId']}"
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(100).decode("utf-8", "replace").strip()
    except OSError as error:
        raise ServerUnreachable(f"the sandbox does not answer: {error}") from None


def _expect(answer: tuple[int, str], status: int) -> None:
    typer.echo(f"    {answer[0]} {answer[1]}")
    if answer[0] != status:
        raise RotatorError(f"the demo expected {status}", hint="this is a bug in rotator or its sandbox")


def _say(sentence: str) -> None:
    typer.echo(f"\n{sentence}")
