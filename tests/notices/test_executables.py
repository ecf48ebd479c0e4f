"""Programs of others: run only where nobody else could have put them, wherever their name leads."""

import os
import pwd
import signal
from pathlib import Path

import pytest

from rotator import executables


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program two folders down that writes down its name, and is called by a link in a third."""
    for folder in (tmp_path, tmp_path / "a", tmp_path / "a" / "b", tmp_path / "links"):
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)
    made = tmp_path / "a" / "b" / "program"
    made.write_text(f'#!/bin/sh\necho "$0 $*" >{tmp_path}/ran\n')
    made.chmod(0o755)
    (tmp_path / "links" / "absolute").symlink_to(made)
    (tmp_path / "links" / "relative").symlink_to("../links/absolute")
    return made


def ran(tmp_path: Path, path: Path) -> str:
    (tmp_path / "ran").unlink(missing_ok=True)
    executables.run([path, "x"], {})
    return (tmp_path / "ran").read_text().strip()


@pytest.mark.parametrize("name", ["a/b/program", "links/absolute", "links/relative", "a/../links/../a/b/program"])
def test_what_was_looked_at_is_what_runs(program: Path, name: str, tmp_path: Path) -> None:
    assert executables.resolved(tmp_path / name) == program
    assert ran(tmp_path, tmp_path / name) == f"{program} x"


@pytest.mark.parametrize("place", ["a/b/program", "a/b", "a", "links"])
def test_nothing_runs_that_others_could_change_at_any_place_of_its_way(
    program: Path, place: str, tmp_path: Path
) -> None:
    assert program.exists()
    (tmp_path / place).chmod(0o775)
    with pytest.raises(executables.Failed, match="is not run") as caught:
        ran(tmp_path, tmp_path / "links" / "relative")
    assert f"{tmp_path / place} can be changed by others (mode 0775): chmod go-w {tmp_path / place}" in str(
        caught.value
    )
    assert not (tmp_path / "ran").exists()


def test_a_folder_in_which_nobody_can_replace_what_is_anothers_is_no_danger(program: Path, tmp_path: Path) -> None:
    (tmp_path / "a").chmod(0o1777)
    (tmp_path / "links").chmod(0o1777)
    assert ran(tmp_path, tmp_path / "links" / "relative") == f"{program} x"


@pytest.mark.parametrize("place", ["a/b/program", "a/b", "a", "links", "links/relative"])
def test_nothing_runs_that_belongs_to_another_account_at_any_place(
    program: Path, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert program.exists()
    if os.geteuid() == 0:
        os.chown(tmp_path / place, pwd.getpwnam("daemon").pw_uid, -1, follow_symlinks=False)
        said = "it" if place == "links/relative" else tmp_path / place
        says = f"since {said} belongs to daemon, and this is root: give it to root, or to the account that runs"
    else:
        monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
        says = f"belongs to {pwd.getpwuid(os.getuid()).pw_name}"
    with pytest.raises(executables.Failed, match="is not run") as caught:
        ran(tmp_path, tmp_path / "links" / "relative")
    assert says in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_a_way_that_ends_nowhere_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(executables.Failed, match="leads from link to link without an end"):
        executables.resolved(tmp_path / "round")
    (tmp_path / "lost").symlink_to("nothing")
    with pytest.raises(executables.Failed, match=r"nothing cannot be read: No such file or directory"):
        executables.resolved(tmp_path / "lost")


def test_a_program_is_called_by_its_name(tmp_path: Path) -> None:
    """Some are several: what they do goes by the name of the link."""
    (tmp_path / "sendmail").symlink_to("/bin/sh")
    executables.run([tmp_path / "sendmail", "-c", 'test "${0##*/}" = sendmail'], {})


def test_a_program_is_started_in_the_folder_of_all(tmp_path: Path) -> None:
    """Not in the one that rotator was started in, which may be another account's."""
    executables.run(["/bin/sh", "-c", f"pwd >{tmp_path}/where"], {})
    assert (tmp_path / "where").read_text() == "/\n"


def test_a_program_gets_five_variables_and_what_it_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TMP", "APPDATA", "TZ", "ANYTHING"):
        monkeypatch.setenv(name, "x")
    executables.run(["/usr/bin/env", "sh", "-c", f"env >{tmp_path}/env"], {"TOLD": "y"})
    found = {line.partition("=")[0] for line in (tmp_path / "env").read_text().splitlines()}
    set_by_sh = {"PWD", "OLDPWD", "SHLVL", "_"}
    assert {"PATH", "TZ", "ROTATOR_TOLD"} <= found
    assert found - set_by_sh <= {"PATH", "HOME", "LANG", "LC_ALL", "TZ", "ROTATOR_TOLD"}


def test_what_a_program_leaves_running_is_not_waited_for_and_goes_on(tmp_path: Path) -> None:
    """As a hook that starts the service which the key is for."""
    tmp_path.chmod(0o755)
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\nsleep 600 & echo $! >{tmp_path}/left\necho said >&2\nexit $1\n")
    program.chmod(0o755)
    for status in ("0", "3"):
        if status == "0":
            executables.run([program, status], {})
        else:
            with pytest.raises(executables.Failed, match="ended with status 3: said"):
                executables.run([program, status], {})
        os.kill(int((tmp_path / "left").read_text()), signal.SIGKILL)
