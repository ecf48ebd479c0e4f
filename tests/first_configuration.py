"""rotator init against a sandbox: what has to be said, where it goes, and what is there afterwards."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox_process import Ended, Sandbox


@pytest.fixture
def site(folder: Path) -> Iterator[Sandbox]:
    """A Qlik Sense of two nodes, whose folder is not the one that init writes to."""
    with Sandbox(folder / "site", ("--nodes", "2")) as running:
        yield running


def flags(site: Sandbox, **changes: str | None) -> tuple[str, ...]:
    """Everything that has to be said, with changes; None takes one away."""
    said: dict[str, str | None] = {
        "qrs": site.ready["qrs"],
        "root_ca": str(site.folder / "root.pem"),
        "cert": str(site.folder / "client.pem"),
        "key": str(site.folder / "client_key.pem"),
        "prefix": "portal",
        "window": "any",
        "keyring": "sealed-file",
        "master_key": f"file:{site.folder.parent}/new/master.key",
        **changes,
    }
    pairs = [(f"--{name.replace('_', '-')}", value) for name, value in said.items() if value is not None]
    return tuple(word for pair in pairs for word in pair)


def target(site: Sandbox) -> Path:
    return site.folder.parent / "new" / "rotator.toml"


def init(site: Sandbox, *arguments: str, stdin: str = "", **environment: str) -> Ended:
    return site.rotator("init", *arguments, config=target(site), stdin=stdin, **environment)


def left(site: Sandbox) -> list[str]:
    """What is there besides the sandbox's own folder."""
    parent = site.folder.parent
    return sorted(
        str(path.relative_to(parent)) for path in parent.rglob("*") if site.folder not in (path, *path.parents)
    )


def works(site: Sandbox) -> None:
    """The configuration serves, from the creation to a rotation."""
    for command in (("create-proxy", "--yes"), ("doctor",), ("rotate", "--now"), ("verify",)):
        ended = site.rotator(*command, config=target(site))
        assert ended.status == 0, (command, ended.err)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
