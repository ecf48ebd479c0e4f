"""A world for each test, and its story, which is kept in a file beside the tests.

`WRITE_STORIES=1` writes the files anew; what changed is then for a reviewer to read.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from worlds.telling import Story
from worlds.world import World


STORIES = Path(__file__).parents[1] / "verbs" / "stories"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def story(world: World, request: pytest.FixtureRequest) -> Iterator[Story]:
    """Compared with the file of the test's name when the test has ended well."""
    told = Story(world)
    yield told
    path = STORIES / f"{request.node.name.removeprefix('test_')}.txt"
    if os.environ.get("WRITE_STORIES"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(told.text())
    assert told.text() == path.read_text(), f"see {path.name}; WRITE_STORIES=1 writes it anew"
