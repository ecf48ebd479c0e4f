"""The demo, as a person who has just installed rotator runs it."""

import os
import subprocess
import sys
from pathlib import Path


def test_it_tells_the_whole_story_and_leaves_nothing_behind(tmp_path: Path) -> None:
    # A folder of somebody else's: nothing in it may be run.
    (tmp_path / "rotator").mkdir()
    for name in ("__init__", "__main__"):
        (tmp_path / "rotator" / f"{name}.py").write_text("raise SystemExit('PLANTED')")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    keylog = tmp_path / "keylog"
    keylog.touch()
    ended = subprocess.run(
        (sys.executable, "-P", "-m", "rotator", "demo"),
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(temporary), "SSLKEYLOGFILE": str(keylog)},
        capture_output=True,
        text=True,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "PLANTED" not in ended.stdout
    assert "    401 " in ended.stdout
    assert list(temporary.iterdir()) == []
    # aiohttp, which the sandbox is made of, opens it when it is imported, and writes a heading.
    assert [line for line in keylog.read_text().splitlines() if not line.startswith("#")] == []
