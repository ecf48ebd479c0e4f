"""Files that are no configuration: no TOML, nothing in them, not readable, or not safe to take."""

import grp
import os
import pwd
import subprocess
from pathlib import Path

import pytest
from good_config import GOOD
from sandbox_process import ROTATOR

from rotator.accounts import account, of_group
from rotator.cli.init import writing
from rotator.config import find, load
from rotator.errors import ConfigError, UsageError
from rotator.sandbox import configuration


ROOT = os.geteuid() == 0
ANOTHER = (
    ROTATOR[0],
    "-c",
    "import os; other = os.geteuid() + 1; os.geteuid = lambda: other; from rotator.__main__ import main; main()",
)
"""rotator, to which this account's files are another's."""
ORDINARY = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--") if ROOT else ()
"""What a command begins with to run as root would without its powers: one account like any other."""


@pytest.mark.parametrize(
    ("added", "said", "hint"),
    [
        ("[keyring]\n", ": not TOML: Cannot declare [keyring] twice, at column 9", "once each"),
        ("[site.prod.certificate]\n", ": not TOML: Cannot declare [site.prod.certificate] twice", "once each"),
        ("x = {y = 1}\n[proxy.portal.rotation.x.z]\n", "Cannot declare [proxy.portal.rotation.x.z] twice", "once each"),
        ("a = 1\na = 2\n", ": not TOML: Cannot overwrite a value", "once each"),
        ("a = CORP\\x\n", ": not TOML: Invalid value", "in quotes"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(tmp_path: Path, added: str, said: str, hint: str) -> None:
    file = tmp_path / "rotator.toml"
    file.write_text(GOOD + added)
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    line = len((GOOD + added).splitlines())
    assert caught.value.message.startswith(f"{file}:{line}: not TOML: "), caught.value.message
    assert said in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[proxy", "not TOML"),
        ("", "keyring is missing"),
        ("keyring = 3", "keyring must be a table"),
        ("[site]\n[proxy]\n", "site has no table"),
    ],
)
def test_what_is_no_configuration_at_all(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "rotator.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert said in "\n".join((caught.value.message, *caught.value.problems))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none.toml", "No such file"), (tmp_path, "is a folder")):
        with pytest.raises(ConfigError, match=said):
            load(path, {})
    (tmp_path / "latin.toml").write_bytes(b"# \xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "latin.toml", {})


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o757])
@pytest.mark.parametrize("what", ["above", "above/rotator", "above/rotator/rotator.toml"])
def test_a_configuration_that_others_can_change_is_refused(tmp_path: Path, what: str, mode: int) -> None:
    file = tmp_path / "above" / "rotator" / "rotator.toml"
    file.parent.mkdir(parents=True)
    file.touch()
    assert find(file, {}) == file
    (tmp_path / what).chmod(mode)
    with pytest.raises(ConfigError) as caught:
        find(file, {})
    said = f"the configuration is not safe: {tmp_path / what} can be changed by others (mode {mode:04o})"
    assert (caught.value.message, caught.value.hint) == (said, f"chmod go-w {tmp_path / what}")
    if what != "above/rotator/rotator.toml":  # as /tmp, where nobody can replace what is another's
        (tmp_path / what).chmod(0o1777)
        assert find(file, {}) == file


@pytest.mark.parametrize("what", ["above", "above/rotator", "above/rotator/rotator.toml", "link"])
def test_a_configuration_of_another_account_is_refused(
    tmp_path: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names programs that would run with the rights of this one."""
    file = tmp_path / "above" / "rotator" / "rotator.toml"
    file.parent.mkdir(parents=True)
    file.touch()
    (tmp_path / "link").symlink_to(file)
    if ROOT:
        os.chown(tmp_path / what, pwd.getpwnam("daemon").pw_uid, -1, follow_symlinks=False)
    else:
        monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    with pytest.raises(ConfigError, match=r"the configuration is not safe: .* belongs to") as caught:
        find(tmp_path / "link", {})
    if ROOT:
        said = f"the configuration is not safe: {tmp_path / what} belongs to daemon, and this is root"
        assert caught.value.message == said
        hint = caught.value.hint or ""
        assert hint.startswith("run it as that account: sudo -u daemon ")
        assert hint.endswith(f"; or, if you know what is in it, give it to root: chown root {tmp_path / what}")


def test_what_rotator_writes_itself_is_taken_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o002)
    try:
        sandboxes = configuration.write(tmp_path, "https://localhost", [])
        first = tmp_path / "etc" / "rotator" / "rotator.toml"
        writing.write([writing.NewFile(first, b"", 0o640)], None, None)
    finally:
        os.umask(before)
    assert [find(file, {}) for file in (sandboxes, first)] == [sandboxes, first]


def test_none_is_begun_where_it_would_be_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() or 1)  # root has rules of its own
    tmp_path.chmod(0o775)
    with pytest.raises(UsageError, match=r"would not be safe: .* can be changed by others \(mode 0775\)") as caught:
        writing.check_configuration(tmp_path / "etc" / "rotator.toml")
    assert caught.value.hint == f"chmod go-w {tmp_path}"
    tmp_path.chmod(0o755)
    writing.check_configuration(tmp_path / "etc" / "rotator.toml")


def test_no_program_is_run_that_a_configuration_of_another_account_names(tmp_path: Path) -> None:
    """Only root can give a file away; another account is played as one to which its own file is another's."""
    tmp_path.chmod(0o755)
    sendmail = tmp_path / "sendmail"
    sendmail.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    sendmail.chmod(0o755)
    file = tmp_path / "rotator.toml"
    file.write_text(GOOD + f'[notify]\nmail = ["x@example.com"]\nsendmail = "{sendmail}"\n')
    for owner, command, status in (("daemon", ROTATOR if ROOT else ANOTHER, 78), ("root", ROTATOR, 0)):
        if ROOT:
            os.chown(file, pwd.getpwnam(owner).pw_uid, -1)
        (tmp_path / "state").mkdir(mode=0o700, exist_ok=True)
        ended = subprocess.run(
            (*command, "--config", str(file), "notify", "--test"),
            env={**os.environ, "STATE_DIRECTORY": str(tmp_path / "state")},
            capture_output=True,
            text=True,
        )
        assert ((tmp_path / "ran").exists(), ended.returncode) == (status == 0, status), ended.stderr


@pytest.mark.parametrize("command", ["status", "due"])
@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("locked", ["rotator", "rotator/rotator.toml"])
def test_one_that_this_account_may_not_look_at_is_told_with_the_account_that_may(
    tmp_path: Path, locked: str, named: bool, command: str
) -> None:
    file = tmp_path / "rotator" / "rotator.toml"
    file.parent.mkdir()
    file.write_text(GOOD)
    (tmp_path / locked).chmod(0o700 if ROOT else 0)
    if ROOT:
        os.chown(tmp_path / locked, pwd.getpwnam("daemon").pw_uid, -1)
    given = ("--config", str(file)) if named else ()
    ended = subprocess.run(
        (*ORDINARY, *ROTATOR, *given, command),
        env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    (tmp_path / locked).chmod(0o700)
    owner, mine = ("daemon", "root") if ROOT else (account(os.getuid()),) * 2
    assert ended.returncode == (78 if command == "status" else 255), ended.stderr
    error, hint = ended.stderr.splitlines()
    assert error == f"rotator: error: {file} cannot be read by this account, {mine}: Permission denied"
    assert hint.startswith(f"rotator: hint: run it as an account that may: sudo -u {owner} ")
    assert hint.endswith(f"{command}; or name another file with --config FILE")


def test_what_only_a_group_may_read_is_for_the_account_that_is_named_as_the_group() -> None:
    names = {found.gr_gid: found.gr_name for found in grp.getgrall()}
    for found in pwd.getpwall():
        if names.get(found.pw_gid) == found.pw_name:
            assert of_group(found.pw_gid) == found.pw_name
    assert of_group(max(names) + 1) is None
