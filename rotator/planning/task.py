"""A scheduled task of Windows: when it runs rotator, as whom, for how long. Pure: values in, XML out.

The language is the Task Scheduler schema ([MS-TSCH] 2.5 "XML Task Definition Format"). The order of a trigger's
elements is part of it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from rotator.model import AnyTime, Consumers, ProxySpec, Window, utc
from rotator.planning.starts import time_limit


NAMESPACE: Final = "http://schemas.microsoft.com/windows/2004/02/mit/task"
VERSION: Final = "1.3"
"""Windows 7 and Windows Server 2008 R2, and everything since."""
NAME: Final = r"\rotator\rotate"
SHORTEST: Final = timedelta(minutes=1)
LONGEST: Final = timedelta(days=31)
"""What the schema lets a repetition be."""
LONGEST_PATH: Final = 260
"""pathType of the schema."""
_SERVICES: Final = {
    "SYSTEM": "S-1-5-18",
    "LOCALSYSTEM": "S-1-5-18",
    "LOCAL SERVICE": "S-1-5-19",
    "LOCALSERVICE": "S-1-5-19",
    "NETWORK SERVICE": "S-1-5-20",
    "NETWORKSERVICE": "S-1-5-20",
}
"""Accounts of the system, which log on without anything; by SID, as their names differ by language."""


class Logon(StrEnum):
    """How the task logs on to its account."""

    PASSWORD = "password"  # noqa: S105 - a word
    """With the account's password, kept by Windows: the Credential Manager opens."""
    GMSA = "gmsa"
    """A group managed service account: Windows fetches the password from the domain."""
    S4U = "s4u"
    """Without a password: neither the Credential Manager nor what DPAPI protects for a user opens."""
    SERVICE = "service"
    """SYSTEM, LOCAL SERVICE or NETWORK SERVICE."""


class RunLevel(StrEnum):
    """With which rights of the account."""

    LEAST = "least"
    HIGHEST = "highest"


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be run, as whom and how often. `limit` is after how long Windows ends it."""

    account: str
    logon: Logon
    every: timedelta
    limit: timedelta
    program: str
    arguments: str
    run_level: RunLevel = RunLevel.LEAST


def logon_of(account: str) -> Logon:
    """How an account logs on, by its name: those of machines and managed ones end in $."""
    if _service(account):
        return Logon.SERVICE
    return Logon.GMSA if account.endswith("$") else Logon.PASSWORD


def limit(specs: Sequence[ProxySpec]) -> timedelta:
    """How long a run may take that rotates them all, one after the other, and undoes each; whole minutes."""
    total = sum(map(time_limit, specs), timedelta())
    return timedelta(minutes=math.ceil(total / timedelta(minutes=1)))


def without_window(specs: Sequence[ProxySpec]) -> tuple[ProxySpec, ...]:
    """Those that an unattended run would refuse, each time."""
    return tuple(spec for spec in specs if spec.rotation.windows == () and spec.consumers is not Consumers.MANUAL)


def too_seldom(specs: Sequence[ProxySpec], every: timedelta) -> tuple[ProxySpec, Window, timedelta] | None:
    """The first that runs so far apart may never catch: its longest window, and how long of that a start is possible."""
    for spec in specs:
        windows = spec.rotation.windows
        if isinstance(windows, AnyTime) or windows == () or spec.consumers is Consumers.MANUAL:
            continue
        longest = max(windows, key=lambda window: window.length)
        usable = longest.length - spec.rotation.margin
        if every > usable:
            return spec, longest, usable
    return None


def xml(task: Task, now: datetime) -> bytes:
    """The definition in UTF-16 with a byte order mark, which schtasks and Register-ScheduledTask both take."""
    root = Element("Task", {"version": VERSION, "xmlns": NAMESPACE})
    _texts(
        SubElement(root, "RegistrationInfo"),
        Date=f"{now:%Y-%m-%dT%H:%M:%S}",
        Author="rotator",
        Description="Rotates the signing keys of Qlik Sense virtual proxies that are due; does nothing when none is.",
        URI=NAME,
    )
    trigger = SubElement(SubElement(root, "Triggers"), "TimeTrigger")
    # A midnight that is past, in UTC: no daylight saving moves or skips a run.
    start = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    _texts(trigger, Enabled="true", StartBoundary=utc(start))
    # Without a duration it is repeated for ever.
    _texts(SubElement(trigger, "Repetition"), Interval=duration(task.every), StopAtDurationEnd="false")
    _texts(SubElement(SubElement(root, "Principals"), "Principal", {"id": "Author"}), **_principal(task))
    _texts(
        SubElement(root, "Settings"),
        MultipleInstancesPolicy="IgnoreNew",
        DisallowStartIfOnBatteries="false",
        StopIfGoingOnBatteries="false",
        AllowHardTerminate="true",
        StartWhenAvailable="true",
        RunOnlyIfNetworkAvailable="false",
        AllowStartOnDemand="true",
        Enabled="true",
        Hidden="false",
        RunOnlyIfIdle="false",
        WakeToRun="false",
        ExecutionTimeLimit=duration(task.limit),
        Priority="7",
    )
    _texts(
        SubElement(SubElement(root, "Actions", {"Context": "Author"}), "Exec"),
        Command=task.program,
        Arguments=task.arguments,
    )
    indent(root)
    text = '<?xml version="1.0" encoding="UTF-16"?>\n' + tostring(root, encoding="unicode") + "\n"
    return b"\xff\xfe" + text.replace("\n", "\r\n").encode("utf-16-le")


def _principal(task: Task) -> dict[str, str]:
    level = {"RunLevel": "HighestAvailable" if task.run_level is RunLevel.HIGHEST else "LeastPrivilege"}
    match task.logon:
        case Logon.SERVICE:
            # The schema has no logon type for them: the SID says it.
            return {"UserId": _service(task.account) or task.account, **level}
        case Logon.S4U:
            return {"UserId": task.account, "LogonType": "S4U", **level}
        case Logon.PASSWORD | Logon.GMSA:
            return {"UserId": task.account, "LogonType": "Password", **level}


def _service(account: str) -> str | None:
    """The SID of an account of the system, None for any other."""
    name = account.upper().removeprefix("NT AUTHORITY\\").removeprefix(".\\")
    return account if account in _SERVICES.values() else _SERVICES.get(name)


def registration(task: Task, file: str) -> str:
    """The command that registers the task, for an administrator. Passwords are asked for, and never stand in it."""
    parts = ["schtasks", "/Create", "/TN", quoted(NAME), "/XML", quoted(file)]
    match task.logon:
        case Logon.PASSWORD:
            parts += ["/RU", quoted(task.account), "/RP", "*"]
        case Logon.GMSA:
            # The empty password is what makes Windows fetch it from the domain.
            parts += ["/RU", quoted(task.account), "/RP", '""']
        case Logon.S4U | Logon.SERVICE:
            pass
    return " ".join(parts)


def quoted(text: str) -> str:
    """An argument as cmd.exe and PowerShell both take it."""
    return f'"{text}"'


def duration(length: timedelta) -> str:
    """A length of time as xs:duration: P1DT2H3M."""
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    clock = "".join(f"{number}{unit}" for number, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if number)
    date = f"{days}D" if days else ""
    return f"P{date}T{clock}" if clock else f"P{date}" if date else "PT0S"


def _texts(parent: Element, **children: str) -> None:
    for name, text in children.items():
        SubElement(parent, name).text = text
