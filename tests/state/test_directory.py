"""The state directory: whose it is, and that nobody else writes to it."""

import os
import pwd
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


@pytest.mark.parametrize("state", ["theirs/state", "theirs/link", "theirs/link/below", "theirs/new/state"])
def test_root_uses_no_state_directory_to_which_another_account_leads(
    tmp_path: Path, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The folder at the end is root's own; the account could put a link to any other of root's in its place."""
    tmp_path.chmod(0o755)
    for name in ("theirs/state", "roots/below"):
        (tmp_path / name).mkdir(mode=0o700, parents=True)
    (tmp_path / "roots").chmod(0o700)
    (tmp_path / "theirs" / "link").symlink_to(tmp_path / "roots")
    theirs = tmp_path / "theirs"
    if os.geteuid() == 0:
        os.chown(theirs, pwd.getpwnam("daemon").pw_uid, -1)
    else:
        monkeypatch.setattr("os.geteuid", lambda: 0)
    for use in (directory.prepare, lambda path: directory.write_installation(path, "x")):
        with pytest.raises(InstallationMismatch, match=f"^root does not use the state directory {tmp_path / state}, "):
            use(tmp_path / state)
    if "new" not in state:
        with pytest.raises(InstallationMismatch, match=r"since .* belongs to"):
            directory.there(tmp_path / state)
    assert not (theirs / "new").exists()
    assert [*(theirs / "state").iterdir(), *(tmp_path / "roots" / "below").iterdir()] == []


def test_a_state_directory_may_lie_behind_links_of_its_own_account(tmp_path: Path) -> None:
    """As systemd makes one for DynamicUser."""
    (tmp_path / "private").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to("private")
    directory.write_installation(tmp_path / "link" / "state", "x")
    assert directory.installation(tmp_path / "private" / "state") == "x"
