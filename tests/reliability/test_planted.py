"""The power of the tests: a bug planted in a copy of rotator is found by the test that is there for it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from planted import PLANTED, Planted
from sampling import record, sample


ROOT = Path(__file__).parents[2]
COPIED = ("rotator", "tests", "pyproject.toml", "config", "docs")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of everything that the tests need, in place of this one."""
    folder = tmp_path / "copy"
    folder.mkdir()
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def python(copy: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Python where the copy is rotator, for the processes that tests start as well."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": os.environ.get("TMPDIR", "/tmp"),  # noqa: S108 - where short paths are
    }
    return subprocess.run(
        (sys.executable, *arguments), cwd=copy, env=environment, capture_output=True, text=True, timeout=300
    )


def runs(copy: Path, test: str) -> "subprocess.CompletedProcess[str]":
    return python(copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", test)


@pytest.mark.parametrize("bug", PLANTED, ids=lambda bug: bug.name)
def test_a_planted_bug_has_its_place(bug: Planted) -> None:
    """Once in its file, so that it is known what it changes; and its test is there."""
    text = (ROOT / "rotator" / bug.file).read_text()
    assert text.count(bug.old) == 1, f"{bug.name}: the planted bug has lost its place in {bug.file}"
    changed = text.replace(bug.old, bug.new)
    compile(changed, bug.file, "exec")
    file, _, name = bug.test.partition("::")
    assert f"def {name.partition('[')[0]}(" in (ROOT / file).read_text(), f"{bug.name}: its test is gone"


def test_planted_bugs_are_found_by_name(pytestconfig: pytest.Config, copy: Path) -> None:
    bugs = sample(pytestconfig, "planted", PLANTED, 2)
    used = python(copy, "-c", "import rotator.model; print(rotator.model.__file__)").stdout
    assert used.startswith(str(copy)), used
    missed = [told for bug in bugs if (told := missing(copy, bug))]
    assert missed == [], "\n".join(missed)
    record("planted bugs", "all", planted=len(bugs), found=len(bugs))


def missing(copy: Path, bug: Planted) -> str:
    """What went wrong where the test of a bug does not pass without it, or does not fail with it; else nothing."""
    whole = runs(copy, bug.test)
    if whole.returncode != 0:
        return f"{bug.test} fails without a bug: {whole.stdout[-4000:]}{whole.stderr[-2000:]}"
    path = copy / "rotator" / bug.file
    text = path.read_text()
    path.write_text(text.replace(bug.old, bug.new))
    found = runs(copy, bug.test)
    path.write_text(text)
    if found.returncode == 1 and re.search(rf"^FAILED {re.escape(bug.test)}", found.stdout, re.MULTILINE):
        return ""
    return f"{bug.name} is not found: {bug.test}: {found.stdout[-4000:]}{found.stderr[-2000:]}"
