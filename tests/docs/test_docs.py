"""The docs cannot rot: their commands run, their tables are whole."""

import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest
from sandbox_process import ROTATOR, Sandbox

from rotator.config import channels, load, tables
from rotator.errors import ExitStatus


ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def test_every_command_of_the_docs_runs(sandbox: Sandbox) -> None:
    ran = 0
    for page in PAGES:
        for block in blocks(page, "console"):
            for line in block.splitlines():
                assert line.startswith("$ "), line
                words = shlex.split(line[2:])
                if words[0] == "make":
                    assert words[1] in (ROOT / "Makefile").read_text()
                    continue
                assert words[0] == "rotator"
                ended = sandbox.rotator(*words[1:])
                assert ended.status == 0, (line, ended.err)
                ran += 1
    assert ran >= 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_shell_blocks_are_shell(page: Path) -> None:
    for block in blocks(page, "sh"):
        subprocess.run(("bash", "-n"), input=block, text=True, check=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_example_is_a_configuration_and_holds_every_key() -> None:
    example = ROOT / "config" / "rotator.example.toml"
    config = load(example, {})
    assert config.sites["prod"].probe["rim3.example.com"].skip
    text = example.read_text()
    page = (ROOT / "docs" / "configuration.md").read_text()
    for keys in (
        tables.KEYRING,
        tables.STATE,
        channels.NOTIFY,
        channels.METRICS,
        tables.SITE,
        tables.CERTIFICATE,
        tables.JWT,
        tables.PROBE,
        tables.PROXY,
        tables.ROTATION,
    ):
        for name, key in keys.items():
            assert f"`{name}`" in page, name
            assert key.later or re.search(rf"(^|[#{{,] ?){name} = ", text, re.MULTILINE), name


WAY = ("[proxy.way]", 'site = "prod"', 'prefix = "rotator"')


def test_the_alternatives_of_the_example_are_configurations_too(tmp_path: Path) -> None:
    text = (ROOT / "config" / "rotator.example.toml").read_text()
    for swap in (
        [("every = ", "# every = "), ("# cron = ", "cron = ")],
        [("cert = ", "# cert = "), ('\nkey = "', '\n# key = "'), ("# pfx = ", "pfx = ")],
        [('consumers = "token"', 'consumers = "hook"'), ("# hook = ", "hook = ")],
        [('auth = "certificate"', 'auth = "jwt"'), *((f"# {line}", line) for line in WAY)],
    ):
        changed = text
        for old, new in swap:
            assert old in changed
            changed = changed.replace(old, new, 1)
        (tmp_path / "rotator.toml").write_text(changed)
        load(tmp_path / "rotator.toml", {})


def test_the_readme_tells_every_exit_status() -> None:
    text = (ROOT / "README.md").read_text()
    assert all(f"| {int(status)} |" in text for status in ExitStatus)


def commands(*group: str) -> list[str]:
    """What `rotator [GROUP] --help` lists."""
    said = subprocess.run((*ROTATOR, *group, "--help"), capture_output=True, text=True, check=True).stdout
    names = re.findall(r"^  ([a-z-]+)  ", said[said.index("Commands:") :], re.MULTILINE)
    return [" ".join((*group, name)) for name in names]


def test_every_command_is_in_the_changelog() -> None:
    known = [*commands(), *commands("keys")]
    assert {"create-proxy", "rotate", "demo", "keys export"} <= set(known)
    text = (ROOT / "CHANGELOG.md").read_text()
    told = {name for group in ("", "keys ") for name in re.findall(rf"`rotator ({group}[a-z-]+)", text)}
    assert [command for command in known if command not in told] == []


def test_every_dependency_has_its_line() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["sandbox"],
        *project["dependency-groups"]["dev"],
    ]
    names = [re.split(r"[<>=; ]", item)[0] for item in wanted]
    record = (ROOT / "docs" / "decisions" / "0002-dependencies.md").read_text()
    rows = [row.split("|")[1] for row in record.splitlines() if row.startswith("|")]
    recorded = [name.strip() for row in rows for name in row.split(",")]
    lock = (ROOT / "requirements.lock").read_text()
    assert [name for name in names if name not in recorded] == []
    assert [name for name in names if not re.search(rf"^{name}==", lock, re.MULTILINE)] == []
    assert lock.count("==") <= lock.count("--hash=sha256:")
