"""install-task: what it writes is a task by the public schema, and one that can do what it is for."""

import io
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta, timezone
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import xmlschema
from good_config import GOOD
from hypothesis import given
from hypothesis import strategies as st
from sandbox_process import ROTATOR, Ended
from values import SUNDAY, spec

from rotator.model import AnyTime, Consumers, Rotation
from rotator.planning import task
from rotator.planning.task import Logon, RunLevel, Task


SCHEMA = xmlschema.XMLSchema10(Path(__file__).with_name("task.xsd"))
NOW = datetime(2025, 3, 30, 1, 30, tzinfo=UTC)
PLAIN = Task(
    r"CORP\svc-rotator", Logon.PASSWORD, timedelta(minutes=15), timedelta(minutes=18), r"C:\r\rotator.exe", "-x"
)


def checked(data: bytes) -> Any:
    """The text of a definition that the schema takes, by path."""
    assert data.startswith(b"\xff\xfe<\x00")
    text = data.decode("utf-16")
    assert text.startswith('<?xml version="1.0" encoding="UTF-16"?>\r\n')
    SCHEMA.validate(io.BytesIO(data))
    root = ET.fromstring(data)  # noqa: S314 - made here
    return lambda path: root.findtext("/".join(f"{{{task.NAMESPACE}}}{name}" for name in path.split("/")))


@given(
    st.text(
        st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="￾￿"), min_size=1, max_size=40
    ),
    st.sampled_from(Logon),
    st.sampled_from(RunLevel),
    st.timedeltas(task.SHORTEST, task.LONGEST),
    st.timedeltas(timedelta(minutes=1), timedelta(days=9)),
)
def test_whatever_it_is_told_it_is_a_task_by_the_schema(
    name: str, logon: Logon, level: RunLevel, every: timedelta, limit: timedelta
) -> None:
    made = Task(f"CORP\\{name}", logon, every, limit, f"C:\\{name}\\rotator.exe", f'"{name}" <&>', level)
    read = checked(task.xml(made, NOW))
    assert read("Actions/Exec/Command") == made.program
    assert read("Actions/Exec/Arguments") == made.arguments
    assert read("Principals/Principal/UserId") == made.account


def test_the_whole_of_it() -> None:
    made = replace(PLAIN, run_level=RunLevel.HIGHEST)
    text = task.xml(made, datetime(2025, 3, 30, 3, 4, 5, 6, timezone(timedelta(hours=9)))).decode("utf-16")
    assert text.replace("\r\n", "\n") == Path(__file__).with_name("task.xml").read_text()


def test_the_order_of_a_triggers_elements_matters() -> None:
    text = task.xml(PLAIN, NOW).decode("utf-16").replace('encoding="UTF-16"', 'encoding="UTF-8"')
    start = "<Enabled>true</Enabled>"
    assert start in text
    moved = text.replace(start, "", 1).replace("</Repetition>", "</Repetition>" + start)
    with pytest.raises(xmlschema.XMLSchemaValidationError, match="Enabled"):
        SCHEMA.validate(moved)


def test_it_repeats_for_ever_and_makes_up_for_a_run_that_was_missed() -> None:
    read = checked(task.xml(PLAIN, NOW))
    assert read("Triggers/TimeTrigger/StartBoundary") == "2025-03-30T00:00:00Z"
    assert read("Triggers/TimeTrigger/Repetition/Interval") == "PT15M"
    assert read("Triggers/TimeTrigger/Repetition/Duration") is None
    assert read("Settings/StartWhenAvailable") == "true"
    assert read("Settings/MultipleInstancesPolicy") == "IgnoreNew"
    assert read("Settings/ExecutionTimeLimit") == "PT18M"
    assert read("Settings/RestartOnFailure") is None


@pytest.mark.parametrize(
    ("account", "logon", "user", "kind", "register"),
    [
        (r"CORP\svc", Logon.PASSWORD, r"CORP\svc", "Password", r'/RU "CORP\svc" /RP *'),
        ("CORP\\gmsa$", Logon.GMSA, "CORP\\gmsa$", "Password", '/RU "CORP\\gmsa$" /RP ""'),
        (r"CORP\svc", Logon.S4U, r"CORP\svc", "S4U", ""),
        ("SYSTEM", Logon.SERVICE, "S-1-5-18", None, ""),
        (r"NT AUTHORITY\Local Service", Logon.SERVICE, "S-1-5-19", None, ""),
        ("S-1-5-20", Logon.SERVICE, "S-1-5-20", None, ""),
    ],
)
def test_each_account_logs_on_in_its_way(
    account: str, logon: Logon, user: str, kind: str | None, register: str
) -> None:
    assert logon is Logon.S4U or task.logon_of(account) is logon
    made = replace(PLAIN, account=account, logon=logon)
    read = checked(task.xml(made, NOW))
    assert (read("Principals/Principal/UserId"), read("Principals/Principal/LogonType")) == (user, kind)
    asked = rf'schtasks /Create /TN "\rotator\rotate" /XML "C:\a b\t.xml" {register}'.rstrip()
    assert task.registration(made, r"C:\a b\t.xml") == asked


def test_the_limit_holds_every_wait_of_every_virtual_proxy() -> None:
    one = spec(rotation=Rotation(settle_timeout=timedelta(seconds=120)))
    other = spec(rotation=Rotation(settle_timeout=timedelta(minutes=30)))
    assert task.limit([one]) == timedelta(minutes=22)
    assert task.limit([one, other]) == timedelta(minutes=22 + 190)


@pytest.mark.parametrize(
    ("window", "every", "said"),
    [
        ((SUNDAY,), timedelta(minutes=176), None),
        ((SUNDAY,), timedelta(minutes=177), timedelta(minutes=176)),
        ((replace(SUNDAY, start=time(23, 55), end=time(0, 5)),), timedelta(minutes=7), timedelta(minutes=6)),
        ((replace(SUNDAY, end=time(2, 10)), SUNDAY), timedelta(hours=1), None),
        ((replace(SUNDAY, end=time(2, 2)),), timedelta(minutes=1), timedelta(minutes=-2)),
        (AnyTime(), timedelta(days=1), None),
        ((), timedelta(days=1), None),
    ],
)
def test_runs_that_could_miss_every_window_are_noticed(window: Any, every: timedelta, said: timedelta | None) -> None:
    made = spec(rotation=Rotation(windows=window))
    found = task.too_seldom([made], every)
    assert (found and found[2]) == said
    by_hand = replace(made, consumers=Consumers.MANUAL)
    assert task.too_seldom([by_hand], every) is None
    assert task.too_seldom([by_hand, made], every) == found


def test_those_without_a_window_are_those_that_runs_would_refuse() -> None:
    without, with_one = spec(rotation=Rotation(windows=())), spec(rotation=Rotation(windows=(SUNDAY,)))
    manual = replace(without, consumers=Consumers.MANUAL)
    assert task.without_window([with_one, without, manual]) == (without,)


@pytest.mark.parametrize(
    ("length", "told"),
    [
        (timedelta(), "PT0S"),
        (timedelta(seconds=59), "PT59S"),
        (timedelta(minutes=60), "PT1H"),
        (timedelta(hours=24), "P1D"),
        (timedelta(days=1, hours=2, minutes=3, seconds=4), "P1DT2H3M4S"),
    ],
)
def test_durations_in_words_of_xml(length: timedelta, told: str) -> None:
    assert task.duration(length) == told


@given(st.timedeltas(timedelta(), timedelta(days=400)))
def test_durations_are_those_of_xml(length: timedelta) -> None:
    assert xmlschema.XMLSchema10.builtin_types()["duration"].is_valid(task.duration(length))


CONFIG = (
    GOOD.replace("file:master.key", "dpapi:master.dpapi")
    + """
[proxy.other]
site = "prod"
prefix = "other"

[proxy.other.rotation]
window = ["any"]
"""
)
USER = ("--user", r"CORP\svc")


def written(folder: Path, *arguments: str, changes: tuple[tuple[str, str], ...] = ()) -> Ended:
    text = CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "with blank").mkdir(exist_ok=True)
    config = folder / "with blank" / "rotator.toml"
    config.write_text(text)
    ended = subprocess.run(
        (*ROTATOR, "--config", str(config), "install-task", *arguments), capture_output=True, text=True, cwd=folder
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def test_the_task_runs_rotate_on_the_same_configuration(tmp_path: Path) -> None:
    ended = written(tmp_path, *USER, "--json", "--output", "t.xml", "--every", "1h", "--run-level", "highest")
    assert ended.status == 0, ended.err
    read = checked((tmp_path / "t.xml").read_bytes())
    config = tmp_path / "with blank" / "rotator.toml"
    assert read("Actions/Exec/Command") == sys.executable
    assert read("Actions/Exec/Arguments") == f'-I -m rotator --config "{config}" rotate --all'
    assert read("Triggers/TimeTrigger/Repetition/Interval") == "PT1H"
    assert read("Principals/Principal/RunLevel") == "HighestAvailable"
    told = ended.result
    assert told["run"] == [sys.executable, read("Actions/Exec/Arguments")]
    assert told["register"].endswith(r'/RU "CORP\svc" /RP *')
    assert told["limit_seconds"] == 2 * 22 * 60


def test_what_the_task_runs_does_run(tmp_path: Path) -> None:
    ended = written(tmp_path, *USER, "--json", "portal")
    command, arguments = ended.result["run"]
    assert "rotator-task.xml" in ended.result["file"]
    ran = subprocess.run(f"{command} {arguments} --json", shell=True, capture_output=True, text=True, cwd="/")  # noqa: S602 - its quoting is the point
    assert json.loads(ran.stdout)["results"][0]["name"] == "portal", ran.stderr


def test_names_and_a_program_of_ones_own(tmp_path: Path) -> None:
    ended = written(tmp_path, *USER, "--program", r"C:\rotator\rotator.exe", "portal", "other", "portal")
    assert ended.status == 0, ended.err
    read = checked((tmp_path / "rotator-task.xml").read_bytes())
    assert read("Actions/Exec/Command") == r"C:\rotator\rotator.exe"
    assert read("Actions/Exec/Arguments").endswith("rotate portal other")
    assert 'schtasks /Create /TN "\\rotator\\rotate" /XML' in ended.out
    again = written(tmp_path, *USER)
    assert again.status == 2
    assert "is there already" in again.err


@pytest.mark.parametrize(
    ("arguments", "changes", "status", "said"),
    [
        (USER, ((' Europe/Stockholm"]', ' UTC"]'),), 0, ""),
        ((), (), 2, "no account is named"),
        (("--user", 'a"b'), (), 2, "is no account of Windows"),
        ((*USER, "--every", "30s"), (), 2, "no interval of a task"),
        ((*USER, "--every", "x"), (), 2, "no interval of a task"),
        ((*USER, "--every", "3h"), (), 2, "may never fall into the window 02:00-05:00"),
        ((*USER, "nobody"), (), 2, "no [proxy.nobody]"),
        (USER, (('window = ["any"]', ""),), 78, "no `window` is set"),
        (("--logon", "s4u", *USER), (), 0, ""),
        (
            ("--logon", "s4u", *USER),
            (('"sealed-file"', '"windows"'), ('path = "keys"\nmaster_key = "dpapi:master.dpapi"', "")),
            2,
            "the Credential Manager does not open",
        ),
        (USER, (('"dpapi:master.dpapi"', '"credential:key"'),), 2, "credentials belong to systemd"),
    ],
)
def test_a_task_that_could_not_do_its_work_is_not_written(
    tmp_path: Path, arguments: tuple[str, ...], changes: tuple[tuple[str, str], ...], status: int, said: str
) -> None:
    ended = written(tmp_path, *arguments, changes=changes)
    assert (ended.status, said in ended.err) == (status, True), ended.err
    assert (tmp_path / "rotator-task.xml").exists() == (status == 0)
