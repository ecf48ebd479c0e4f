"""Words for people: one thing and several, what is not due, what a dry run would do."""

import pytest
from sandbox_process import Sandbox

from rotator.model import counted


@pytest.mark.parametrize(
    ("number", "names", "said"),
    [
        (0, ("key",), "0 keys"),
        (1, ("key",), "1 key"),
        (2, ("key",), "2 keys"),
        (1, ("proxy", "proxies"), "1 proxy"),
        (2, ("proxy", "proxies"), "2 proxies"),
    ],
)
def test_one_thing_and_several(number: int, names: tuple[str, ...], said: str) -> None:
    assert counted(number, *names) == said


def test_one_of_anything_is_not_said_as_several(portal: Sandbox) -> None:
    said = portal.rotator("-v", "history").out + portal.rotator("keys", "prune").out
    said += portal.rotator("release", "portal").out
    assert ", 1 key kept" in said
    assert "portal: released: 1 key deleted here" in said
    assert " 1 requests" not in said
    assert "  1 request  " in said
