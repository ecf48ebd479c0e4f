"""The five minutes of the README: a bare server, the wheel, the certificates, and `rotator init`."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sandbox_process import Sandbox
from systemd_box import Box
from systemd_server import OFFLINE, ROOT, Server


README = (ROOT / "README.md").read_text()


@pytest.fixture
def bare(ground: Path, wheel: Path, wheels: Path, qlik: Sandbox) -> Iterator[Server]:
    """A server on which nothing of rotator is, but what the README wants in the folder of root."""
    box = Box(ground / "bare")
    box.environment.update(OFFLINE)
    shutil.copytree(wheels, box.disks[0] / "srv/wheels")
    root = box.disks[0] / "root"
    root.mkdir(mode=0o700)
    for file in (wheel, *(qlik.folder / name for name in ("root.pem", "client.pem", "client_key.pem"))):
        shutil.copy(file, root)
    try:
        box.boot()
        yield Server(box, qlik)
    finally:
        box.cut_power()


def test_the_steps_of_the_readme_lead_to_a_server_that_rotates(bare: Server) -> None:
    installing, enabling = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)[:2]
    answers = {
        "qrs": bare.qlik.ready["qrs"],
        "root-ca": "/etc/rotator/prod/root.pem",
        "cert": "/etc/rotator/prod/client.pem",
        "key": "/etc/rotator/prod/client_key.pem",
        "prefix": "portal",
        "window": "any",
        "keyring": "sealed-file",
        "master-key": "credential:rotator-master-key",
    }
    assert installing.endswith("/opt/rotator/bin/rotator init\n")
    said = bare.box.run(installing.rstrip() + "".join(f" --{name} {answer}" for name, answer in answers.items())).text
    assert "rotator create-proxy portal" in said, said
    # README's own commands, then what runs from then on.
    for command in re.findall(r"^\$ rotator (.*)", README, re.MULTILINE):
        if "--user" not in command:
            bare.rotator(command)
    bare.box.run(enabling)
    bare.box.run("systemctl start rotator-rotate@portal.service")
    assert bare.box.show("rotator-rotate@portal.service", "Result") == "success"
    assert "next" in bare.box.run("systemctl list-timers 'rotator-*'").out.lower()
    assert len(re.findall("rotated", bare.rotator("history").out)) == 1
