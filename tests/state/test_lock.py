"""A lock that is held."""

from pathlib import Path

import pytest
from values import NOW

from rotator.errors import (
    LockHeld,
)
from rotator.state import lock


def test_a_lock_names_its_owner(tmp_path: Path) -> None:
    with (
        lock.held(tmp_path, "site x", "rotate", NOW),
        pytest.raises(LockHeld, match=r"rotate of .* since 2026-11-24 12:00:00 UTC"),
    ):
        with lock.held(tmp_path, "site x", "verify", NOW):
            raise AssertionError
    with lock.held(tmp_path, "site x", "verify", NOW):
        pass
