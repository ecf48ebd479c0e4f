"""What is handed out is whole: the sdist builds and checks itself, the wheel installs all that its hints name."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    command = (sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder))
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (archive,) = folder.glob("rotator-*.tar.gz")
    shutil.unpack_archive(archive, folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


@pytest.fixture(scope="module")
def installed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the wheel that the sdist builds puts into site-packages."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ("-q", "--no-deps", "--no-build-isolation")
    subprocess.run(
        (sys.executable, "-m", "pip", "wheel", *options, "-w", str(folder), str(source)),
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("rotator-*.whl")
    shutil.unpack_archive(wheel, folder / "site-packages", "zip")
    return folder / "site-packages"


def test_the_sdist_holds_all_that_version_control_does(source: Path) -> None:
    ignored = [line.strip("/") for line in (ROOT / ".gitignore").read_text().splitlines()]
    wanted = {path.name for path in ROOT.iterdir() if not any(path.match(pattern) for pattern in (".git", *ignored))}
    assert wanted - {path.name for path in source.iterdir()} == set()


def test_the_makefile_of_the_sdist_finds_what_it_needs(source: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    for target in ("demo", "reliability", "soak", "lint", "bench"):
        ended = subprocess.run(("make", "-n", target), cwd=source, env=environment, capture_output=True, text=True)
        assert (ended.returncode, ended.stderr) == (0, ""), target
    for script in (source / ".ci" / "run", *(source / "scripts").iterdir()):
        assert os.access(script, os.X_OK) or script.suffix, script


def test_the_wheel_holds_what_runs_and_no_more(installed: Path) -> None:
    assert (installed / "rotator" / "py.typed").is_file()
    assert (installed / "rotator" / "sandbox" / "site.py").is_file()
    for folder, inside in (("systemd", "systemd"), ("config", "examples")):
        names = {path.name for path in (ROOT / folder).iterdir()}
        assert {path.name for path in (installed / "rotator" / inside).iterdir()} == names
    assert {path.name.partition("-")[0] for path in installed.iterdir()} == {"rotator"}


def rotator(installed: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The installed rotator, far from the working copy."""
    return subprocess.run(
        (sys.executable, "-m", "rotator", *arguments),
        cwd=installed.parent,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_an_installed_rotator_names_an_example_that_is_there_and_right(installed: Path, tmp_path: Path) -> None:
    example = installed / "rotator" / "examples" / "rotator.example.toml"
    assert example.read_bytes() == (ROOT / "config" / "rotator.example.toml").read_bytes()
    file = tmp_path / "rotator.toml"
    file.write_text("[keyrings]\n")
    mistaken = rotator(installed, "--config", str(file), "status")
    assert (mistaken.returncode, f"every key is explained in {example}\n" in mistaken.stderr) == (78, True)
    file.write_text(re.sub(r"(?s)^\[notify\].*?(?=^\[)", "", example.read_text(), flags=re.MULTILINE))
    untold = rotator(installed, "--config", str(file), "notify", "--test")
    assert (untold.returncode, f"see {example}\n" in untold.stderr) == (78, True), untold.stderr
