"""The state directory: whose it is, and that nobody else writes to it."""

from pathlib import Path

import pytest

from rotator.errors import (
    ConfigError,
    InstallationMismatch,
)
from rotator.state import directory


def test_half_is_enough_and_two_wholes_must_agree(tmp_path: Path) -> None:
    assert directory.agreed(None, None, tmp_path) is None
    assert (
        directory.agreed("a", None, tmp_path)
        == directory.agreed(None, "a", tmp_path)
        == directory.agreed("a", "a", tmp_path)
        == "a"
    )
    with pytest.raises(InstallationMismatch) as caught:
        directory.agreed("a", "b", tmp_path)
    assert caught.value.exit_status == 78


def test_a_state_directory_that_others_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="can be changed by others"):
        directory.prepare(tmp_path)
