"""A server on which rotator is installed as docs/installation.md says, and a Qlik Sense in its network."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sandbox_process import Sandbox
from systemd_box import Box, Said, own_mounts, own_network


ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "installation.md").read_text()
OFFLINE = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/srv/wheels", "PIP_NO_CACHE_DIR": "1"}
"""The box has no network: what pip would fetch lies in a folder."""
SECRET_SERVICE = (
    ('backend = "sealed-file"', 'backend = "secret-service"'),
    ('path = "/var/lib/rotator/keys"\n', ""),
    ('master_key = "credential:rotator-master-key"\n', ""),
)
PIP = (sys.executable, "-m", "pip", "-q", "--disable-pip-version-check")


def blocks(section: str, language: str = "sh") -> list[str]:
    """The code of a section of docs/installation.md, by its heading."""
    (body,) = re.findall(rf"^##+ {re.escape(section)}\n(.*?)(?=^##|\Z)", PAGE, re.DOTALL | re.MULTILINE)
    found = re.findall(rf"^```{language}\n(.*?)^```", body, re.DOTALL | re.MULTILINE)
    assert found, section
    return found


@dataclass
class Server:
    """A box with rotator in /opt/rotator, and the Qlik Sense that it works on."""

    box: Box
    qlik: Sandbox

    def do(self, section: str) -> str:
        """Run every block of a section of the docs, as root in a shell. Returns what they printed."""
        return "".join(self.box.run(block).text for block in blocks(section))

    def rotator(self, arguments: str, *, check: bool = True) -> Said:
        """Run rotator as the docs tell a person who is root."""
        return self.box.run(f"rotator {arguments}", check=check)

    def configure(self, *changes: tuple[str, str]) -> None:
        """Certificates and the configuration of the docs in the folder of root, for this Qlik Sense; then in place."""
        for name in ("root.pem", "client.pem", "client_key.pem"):
            self.box.write(f"/root/{name}", (self.qlik.folder / name).read_text(), mode="0600")
        (text,) = blocks("Access and configuration", "toml")
        for old, new in (
            ("https://qlik-central.example.com:4242", self.qlik.ready["qrs"]),
            ("SUN 02:00-05:00 Europe/Stockholm", "any"),
            ('every = "30d"', 'every = "30d"\nkey_bits = 2048\nsettle_timeout = "60s"'),
            *changes,
        ):
            assert old in text, old
            text = text.replace(old, new)
        self.box.write("/root/rotator.toml", text)
        self.do("Access and configuration")

    def use_secret_service(self) -> None:
        """The configuration names gnome-keyring, in place of sealed-file."""
        text = self.box.read("/etc/rotator/rotator.toml")
        for old, new in SECRET_SERVICE:
            assert old in text, old
            text = text.replace(old, new)
        self.box.write("/etc/rotator/rotator.toml", text, mode="0640", owner="root:rotator")

    def make_due(self) -> None:
        """The current key is due from now on: its certificate is close to its end, as a person alone may make one."""
        text = self.box.read("/etc/rotator/rotator.toml")
        short = text.replace('consumers = "token"', 'consumers = "manual"').replace(
            'every = "30d"', 'every = "30d"\ncertificate_days = 30'
        )
        self._configured(short)
        self.rotator("rotate portal --now --yes")
        self._configured(text)
        self.qlik.forget_requests()

    def _configured(self, text: str) -> None:
        self.box.write("/etc/rotator/rotator.toml", text, mode="0640", owner="root:rotator")

    def fingerprint(self) -> str:
        """That of the current key."""
        return str(json.loads(self.rotator("status --json").out)["results"][0]["fingerprint"])

    def rotations(self) -> int:
        """How often the server was given another certificate."""
        return len([entry for entry in self.qlik.requests("qrs", "PUT") if "virtualproxyconfig" in entry["path"]])


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the disks of boxes lie."""
    folder = tmp_path_factory.mktemp("boxes")
    own_mounts(folder)
    return folder


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this working copy."""
    return build(ROOT, tmp_path_factory.mktemp("wheel"))


def build(source: Path, folder: Path) -> Path:
    """Build the wheel of a source tree."""
    subprocess.run(
        (*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w", str(folder), str(source)),
        check=True,
        capture_output=True,
    )
    (built,) = folder.glob("rotator-*.whl")
    return built


def fetch(wheel: Path, lock: Path, folder: Path) -> Path:
    """What a wheel needs, in the versions of a lock, for the Python of the box."""
    pinned = re.findall(r"^[A-Za-z0-9_.-]+==[^ ]+(?: ; [^\\\n]+)?", lock.read_text(), re.MULTILINE)
    (folder / "pins").write_text("\n".join(pinned))
    asked = ("/usr/bin/python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    version = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(
        (*PIP, "download", "--only-binary", ":all:", "--python-version", version, "-c", "pins", str(wheel)),
        cwd=folder,
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="session")
def wheels(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What this working copy needs."""
    return fetch(wheel, ROOT / "requirements.lock", tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="session")
def installed(ground: Path, wheel: Path, wheels: Path) -> tuple[Path, ...]:
    """The disks of a stopped box on which the docs were followed up to the keyring."""
    box = Box(ground / "installed")
    box.environment.update(OFFLINE)
    disk = box.disks[0]
    shutil.copytree(wheels, disk / "srv/wheels")
    (disk / "root").mkdir(mode=0o700)
    shutil.copy(wheel, disk / "root")
    box.boot()
    for section in ("rotator itself", "Units and account"):
        for block in blocks(section):
            box.run(block)
    box.shut_down()
    return box.disks


@pytest.fixture
def network() -> Iterator[None]:
    """The network that box and Qlik Sense share."""
    with own_network():
        yield


@pytest.fixture
def qlik(network: None, folder: Path) -> Iterator[Sandbox]:
    """Another machine, as it were: it outlives the reboots of the box."""
    with Sandbox(folder) as running:
        yield running


@pytest.fixture
def server(
    installed: tuple[Path, ...], ground: Path, qlik: Sandbox, request: pytest.FixtureRequest
) -> Iterator[Server]:
    """A server that is installed and running, without a keyring yet."""
    box = Box(ground / request.node.name, *installed)
    box.environment.update(OFFLINE)
    try:
        box.boot()
        yield Server(box, qlik)
    finally:
        box.cut_power()


@pytest.fixture
def ready(server: Server) -> Server:
    """The same with the keyring sealed-file, configured, and the virtual proxy in place."""
    server.do("sealed-file")
    server.configure()
    server.do("The first key")
    return server
