"""The journal by itself: what it says of runs whatever is done to the clock."""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from values import NOW

from rotator.report import story
from rotator.state.journal import Journal, read


if TYPE_CHECKING:
    from collections.abc import Iterator


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
