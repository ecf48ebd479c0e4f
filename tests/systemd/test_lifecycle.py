"""Upgrade and removal, as the docs say."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from systemd_server import ROOT, Server, build, fetch


UNIT = "rotator-rotate@portal.service"


@pytest.fixture(scope="session")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of the previous commit, called 0.0.1, with what it needs beside it."""
    source = tmp_path_factory.mktemp("source")
    archive = subprocess.run(("git", "-C", str(ROOT), "archive", "HEAD~1"), capture_output=True)
    assert archive.returncode == 0, f"the previous commit cannot be had: {archive.stderr.decode()}"
    subprocess.run(("tar", "-x", "-C", str(source)), input=archive.stdout, check=True)
    (source / "rotator" / "version.py").write_text('"""The version."""\n\n__version__ = "0.0.1"\n')
    built = build(source, tmp_path_factory.mktemp("older"))
    return fetch(built, source / "requirements.lock", built.parent)


def test_an_upgrade_keeps_state_and_keys(server: Server, installed: tuple[Path, ...], older: Path) -> None:
    disk = server.box.disks[0]
    server.box.run("mkdir -p /srv/older")
    for file in older.glob("*.whl"):
        shutil.copy(file, disk / "srv/older")
    server.box.environment["PIP_FIND_LINKS"] = "/srv/older"
    server.box.run("/opt/rotator/bin/pip install /srv/older/rotator-0.0.1-*.whl")
    server.box.environment["PIP_FIND_LINKS"] = "/srv/wheels"
    assert server.box.run("/opt/rotator/bin/rotator --version").out == "rotator 0.0.1\n"
    server.box.run("/opt/rotator/bin/rotator install-units --keyring sealed-file && systemctl daemon-reload")
    server.do("sealed-file")
    server.configure()
    server.do("The first key")
    server.make_due()
    before = server.fingerprint()

    server.do("Upgrade")

    assert server.box.run("/opt/rotator/bin/rotator --version").out != "rotator 0.0.1\n"
    units = server.box.run("/opt/rotator/bin/rotator install-units --keyring sealed-file --json").out
    assert {row["reason"] for row in json.loads(units)["results"] if row["name"].startswith("/")} == {"Same"}
    assert server.fingerprint() == before
    assert server.rotator("verify").status == 0
    server.box.run(f"systemctl start {UNIT}")
    assert server.fingerprint() != before
    runs = json.loads(server.rotator("history --json").out)["results"][0]["runs"]
    assert len(runs) >= 4


def test_a_removal_leaves_nothing_but_the_virtual_proxy(ready: Server) -> None:
    ready.do("By timer")
    ready.do("Removal")
    left = ready.box.run(
        "set +e; systemctl list-unit-files 'rotator*' --no-legend; systemctl list-units --all 'rotator*' --no-legend; "
        "find /etc /opt /run /usr/local /var -xdev -name '*rotator*' -not -path '/var/log/*' "
        "-newer /srv/wheels/pins 2>/dev/null; getent passwd rotator; true"
    )
    # When a timer ran last is kept by systemd.
    assert [line for line in left.out.splitlines() if "/stamp-rotator" not in line] == []
    assert [entry["path"] for entry in ready.qlik.requests("qrs", "DELETE")] == []
