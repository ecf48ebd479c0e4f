"""install-units: files come, are brought up to date, and go; what a person edited stays."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from sandbox_process import ROTATOR, Ended


SERVICE = "etc/systemd/system/rotator-rotate@.service"


def install(root: Path, *arguments: str) -> Ended:
    ended = subprocess.run((*ROTATOR, "install-units", "--root", str(root), *arguments), capture_output=True, text=True)
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def outcomes(root: Path, *arguments: str) -> dict[str, str]:
    ended = install(root, "--json", *arguments)
    assert ended.status == 0, ended.err
    return {
        str(Path(result["name"]).relative_to(root)): result["outcome"]
        for result in ended.json["results"]
        if result["name"] != "commands"
    }


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    assert set(outcomes(tmp_path, "--keyring", "secret-service").values()) == {"created"}
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    assert set(outcomes(tmp_path, "--keyring", "secret-service").values()) == {"unchanged"}
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_every_file_is_put_where_its_reader_looks(tmp_path: Path) -> None:
    placed = set(outcomes(tmp_path, "--keyring", "sealed-file"))
    assert placed == {
        SERVICE,
        "etc/systemd/system/rotator-rotate@.timer",
        "etc/systemd/system/rotator.service",
        "etc/systemd/system/rotator-failed@.service",
        "etc/systemd/system/rotator.target",
        "etc/systemd/system/rotator.service.d/keyring.conf",
        "etc/systemd/system/rotator-rotate@.service.d/keyring.conf",
        "etc/systemd/system/rotator-failed@.service.d/keyring.conf",
        "etc/sysusers.d/rotator.conf",
        "etc/tmpfiles.d/rotator.conf",
        "usr/local/sbin/rotator",
    }
    assert {place for place in placed if os.access(tmp_path / place, os.X_OK)} == {"usr/local/sbin/rotator"}
    assert {oct((tmp_path / place).stat().st_mode & 0o777) for place in placed} == {"0o644", "0o755"}


def test_the_prefix_is_everywhere(tmp_path: Path) -> None:
    outcomes(tmp_path, "--prefix", "/srv/rotator-2", "--keyring", "sealed-file")
    texts = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in texts if "/opt/rotator" in text]
    assert "ExecStart=/srv/rotator-2/bin/rotator rotate %i" in (tmp_path / SERVICE).read_text()


@pytest.mark.parametrize("prefix", ["/home/me/venv", "/root/venv", "venv"])
def test_a_folder_that_the_units_could_not_see_is_refused(tmp_path: Path, prefix: str) -> None:
    ended = install(tmp_path, "--prefix", prefix)
    assert ended.status == 2
    assert "could not see it" in ended.err
    assert not (tmp_path / "etc").exists()


def test_what_an_older_rotator_installed_is_replaced(tmp_path: Path) -> None:
    outcomes(tmp_path, "--prefix", "/srv/old")
    assert outcomes(tmp_path)[SERVICE] == "replaced"
    assert not list(tmp_path.rglob("*.new"))
    assert not list(tmp_path.rglob("*.old"))


def test_an_edited_file_stays_and_the_new_one_is_beside_it(tmp_path: Path) -> None:
    outcomes(tmp_path)
    edited = tmp_path / SERVICE
    fresh = edited.read_text()
    edited.write_text(fresh.replace("TimeoutStopSec=30min", "TimeoutStopSec=60min"))
    ended = install(tmp_path)
    assert f"{edited}: kept: it was edited; the new one is {edited}.new" in ended.out
    assert "60min" in edited.read_text()
    assert edited.with_name(edited.name + ".new").read_text() == fresh


def test_replace_keeps_the_edited_file_as_old(tmp_path: Path) -> None:
    outcomes(tmp_path)
    edited = tmp_path / SERVICE
    fresh = edited.read_text()
    edited.write_text("# mine\n")
    assert outcomes(tmp_path, "--replace")[SERVICE] == "replaced"
    assert edited.read_text() == fresh
    assert edited.with_name(edited.name + ".old").read_text() == "# mine\n"


def test_another_keyring_takes_the_place_of_the_first(tmp_path: Path) -> None:
    outcomes(tmp_path, "--keyring", "sealed-file")
    outcomes(tmp_path, "--keyring", "secret-service")
    texts = [path.read_text() for path in (tmp_path / "etc/systemd/system").glob("*.d/keyring.conf")]
    assert len(texts) == 3
    assert all("DBUS_SESSION_BUS_ADDRESS" in text and "rotator-master-key" not in text for text in texts)


def test_remove_takes_everything_but_what_was_edited(tmp_path: Path) -> None:
    outcomes(tmp_path, "--keyring", "secret-service")
    edited = tmp_path / SERVICE
    edited.write_text("# mine\n")
    removed = outcomes(tmp_path, "--remove")
    assert removed.pop(SERVICE) == "kept"
    assert set(removed.values()) == {"removed"}
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [edited]
    assert outcomes(tmp_path, "--remove", "--replace") == {SERVICE: "removed"}
    assert outcomes(tmp_path, "--remove") == {}


def test_what_is_enabled_is_not_removed(tmp_path: Path) -> None:
    outcomes(tmp_path)
    wants = tmp_path / "etc/systemd/system/timers.target.wants"
    wants.mkdir()
    (wants / "rotator-rotate@portal.timer").symlink_to("/etc/systemd/system/rotator-rotate@.timer")
    ended = install(tmp_path, "--remove")
    assert ended.status == 2
    assert "systemctl disable --now rotator-rotate@portal.timer" in ended.err
    assert (tmp_path / SERVICE).exists()


def test_the_commands_that_follow_are_printed(tmp_path: Path) -> None:
    ended = install(tmp_path, "--json")
    (commands,) = [result["commands"] for result in ended.json["results"] if result["name"] == "commands"]
    assert commands[-1] == "systemctl enable --now rotator.target rotator-rotate@NAME.timer"
    assert all(f"  {command}\n" in install(tmp_path).out for command in commands)


def test_without_a_rotator_in_the_prefix_nothing_is_written() -> None:
    ended = subprocess.run((*ROTATOR, "install-units", "--prefix", "/srv/nothing-here"), capture_output=True, text=True)
    assert ended.returncode == 2
    assert "there is no /srv/nothing-here/bin/rotator" in ended.stderr
    assert "--prefix" in ended.stderr


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "etc").write_text("a file in the way")
    ended = install(tmp_path)
    assert ended.status == 1
    assert "cannot be" in ended.err
    assert json.loads(install(tmp_path, "--json").out)["errors"]
