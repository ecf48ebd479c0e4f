"""Samples of cases that are too many for every run: drawn anew each time, all of them with `--soak`.

The seed is pytest-randomly's, printed at the end of every run and the same in all of its processes: `--randomly-seed=N`
draws the same again, `--randomly-seed=last` that of the last run.
"""

import json
import os
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import pytest


T = TypeVar("T")


def soaking(config: pytest.Config) -> bool:
    """Whether all cases are asked for, not a sample."""
    return bool(config.getoption("soak"))


def times(config: pytest.Config) -> int:
    """How many times larger than usual a sample is to be."""
    return int(config.getoption("times"))


def drawn(config: pytest.Config, name: str) -> random.Random:
    """The randomness of one test: the same again under the same seed, whatever ran before it.

    Always the same where pytest-randomly is switched off, as mutation testing does.
    """
    return random.Random(f"{config.getoption('randomly_seed', 0)}:{name}")


def sample(config: pytest.Config, name: str, cases: Sequence[T], count: int) -> list[T]:
    """`count` of the cases in their order, N times as many with `--times N`, or all of them with `--soak`.

    A case is drawn by its text, not by its place: where waiting makes the cases more or fewer, the same seed still
    draws the same ones.
    """
    count *= times(config)
    if soaking(config) or count >= len(cases):
        return list(cases)
    lots = [drawn(config, f"{name}: {case}").random() for case in cases]
    chosen = sorted(sorted(range(len(cases)), key=lots.__getitem__)[:count])
    return [cases[index] for index in chosen]


def record(check: str, part: str, **counts: int) -> None:
    """Leave what a check counted for `scripts/reliability`, which adds the parts of a check up. Nothing otherwise.

    Called last: what failed is not counted.
    """
    folder = os.environ.get("RECORD_COUNTS")
    if folder:
        path = Path(folder) / f"{check}.{part}.json"
        path.write_text(json.dumps({"check": check, "counts": counts, "cases": os.environ["RECORD_CASES"]}))
