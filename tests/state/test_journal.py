"""The journal by itself: what it says of runs whatever is done to the clock, and of bytes that are wrong."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from values import NOW

from rotator.errors import JournalError, JournalUnwritable
from rotator.model import Standing, Trouble
from rotator.report import story
from rotator.state import database, figures
from rotator.state.journal import Journal, generation, read
from rotator.state.outbox import Outbox


if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


WHO = ("prod", "portal")


def test_durations_are_those_that_passed_though_the_clock_is_set_back(tmp_path: Path) -> None:
    """Somebody sets it back by an hour in the middle of the step, which takes five seconds of the nine of the run."""
    times: Iterator[float] = iter([0.0, -3598.0, -3593.0, -3591.0])
    passed: Iterator[float] = iter([100.0, 102.0, 107.0, 109.0])
    journal = Journal(
        tmp_path, lambda: NOW + timedelta(seconds=next(times)), lambda: 0, print, monotonic=lambda: next(passed)
    )
    with journal.run(*WHO, "rotate", "me"), journal.step("test"):
        pass
    journal.close()
    (run,) = read(tmp_path, [WHO], 9)
    row = story.row(run)
    assert (row["seconds"], [step["seconds"] for step in row["steps"]]) == (9.0, [5.0])  # type: ignore[index, union-attr, call-overload]
    assert [line.split("(")[1].split(",")[0] for line in story.lines(run, effects=False) if "(" in line] == ["9.00 s"]


def troubles(state: Path) -> None:
    with Outbox(state) as box:
        box.troubles(*WHO)


def begun(state: Path) -> None:
    journal = Journal(state, lambda: NOW, lambda: 0, print)
    try:
        with journal.run(*WHO, "rotate", "me"):
            pass
    finally:
        journal.close()


WAYS: dict[str, "Callable[[Path], object]"] = {
    "begun": begun,
    "read": lambda state: read(state, [WHO], 9),
    "generation": lambda state: generation(state, "abc/portal", ["abc"]),
    "standings": figures.standings,
    "figures": figures.read,
    "troubles": troubles,
}


@pytest.mark.parametrize(
    ("whole", "broken", "way"),
    [
        *((b"tablerunrun", b"table\xd8unrun", way) for way in WAYS),
        *((b"+00:00", b"+00\x1200", way) for way in ("read", "standings", "figures", "troubles")),
        *((b" began TEXT", b" be\x01an TEXT", way) for way in ("read", "begun")),
        (b"number INTEGER", b"numb\x20r INTEGER", "generation"),
    ],
)
def test_bytes_that_are_wrong_are_a_damaged_journal(tmp_path: Path, whole: bytes, broken: bytes, way: str) -> None:
    """A disk gives such bytes back without a word: where they are noticed is chance, what is said of it is not."""
    with Outbox(tmp_path) as box:
        box.put(*WHO, None, [Trouble(*WHO, "Undone", NOW, NOW)])
    figures.note(tmp_path, [Standing(*WHO, NOW, NOW, NOW, 0)])
    begun(tmp_path)
    path = tmp_path / database.FILE
    data = path.read_bytes()
    assert whole in data
    path.write_bytes(data.replace(whole, broken))
    with pytest.raises(JournalError) as told:
        WAYS[way](tmp_path)
    assert not isinstance(told.value, JournalUnwritable), told.value
    assert "move it away" in str(told.value.hint)


def test_bytes_that_go_wrong_in_the_middle_stop_no_run(tmp_path: Path) -> None:
    lines: list[str] = []
    journal = Journal(tmp_path, lambda: NOW, lambda: 0, lines.append)
    with journal.run(*WHO, "rotate", "me"):
        journal._database.execute("INSERT INTO generation VALUES ('abc/portal', 'many')")
        assert journal.generation("abc/portal", ["abc"]) == 0
    journal.close()
    assert len(lines) == 1
