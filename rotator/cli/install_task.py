"""rotator install-task."""

import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from rotator.cli.options import AsJson, Names, SiteName
from rotator.cli.output import told
from rotator.cli.session import Session
from rotator.errors import UsageError
from rotator.model import Config, KeyringBackend, Outcome, ProxySpec, Result, SecretKind


if TYPE_CHECKING:
    from rotator.planning.task import Logon

DEFAULT_OUTPUT = Path("rotator-task.xml")


def install_task(
    context: typer.Context,
    names: Names = None,
    output: Annotated[
        Path, typer.Option("--output", metavar="FILE", help="A new file for the definition.")
    ] = DEFAULT_OUTPUT,
    user: Annotated[
        str | None,
        typer.Option("--user", metavar="ACCOUNT", help=r"Who runs it, as CORP\svc-rotator; default: this account."),
    ] = None,
    logon: Annotated[
        Literal["password", "gmsa", "s4u", "service"] | None,
        typer.Option("--logon", help="How the account logs on; default: by its name, gmsa where it ends in $."),
    ] = None,
    every: Annotated[str, typer.Option("--every", metavar="DURATION", help="How often it looks.")] = "15m",
    run_level: Annotated[
        Literal["least", "highest"], typer.Option("--run-level", help="With which rights of the account.")
    ] = "least",
    program: Annotated[
        str | None,
        typer.Option("--program", metavar="FILE", help="The rotator.exe that is run; default: the one that runs now."),
    ] = None,
    site: SiteName = None,
    as_json: AsJson = False,
) -> None:
    """Write a definition for the Task Scheduler of Windows that rotates what is due, and show how to register it.

    Without a NAME all virtual proxies of the configuration, those too that it gets later. Nothing is registered here,
    and no password is asked for: schtasks does that.
    """
    import os

    from rotator.cli.files import write_new
    from rotator.planning import task

    session: Session = context.obj
    specs = session.specs(names, site)
    if not specs:
        raise UsageError("no virtual proxy is chosen", hint="see the [proxy.NAME] tables of the configuration")
    account = _account(user or _own(os.environ))
    chosen = task.Logon(logon) if logon else task.logon_of(account)
    interval = _interval(every)
    _check(session.config, specs, interval, chosen)
    command, arguments = _command(session.config, names, site, program)
    made = task.Task(account, chosen, interval, task.limit(specs), command, arguments, task.RunLevel(run_level))
    write_new(output, task.xml(made, datetime.now()), mode=0o644)  # noqa: DTZ005 - the schema's dates are local
    register = task.registration(made, str(output.absolute()))
    result = Result(
        site="",
        name="",
        outcome=Outcome.SHOWN,
        reason="TaskWritten",
        message=f"{output} runs {arguments!r} every {every} as {account}",
        extra={
            "file": str(output.absolute()),
            "task": task.NAME,
            "account": account,
            "logon": chosen.value,
            "register": register,
            "run": [command, arguments],
            "limit_seconds": int(made.limit.total_seconds()),
        },
    )
    if sys.platform != "win32" and program is None:
        told("rotator: hint: this is not Windows: the paths in the task are those of this machine")
    shown = f"{output}: every {every}, as {account} ({chosen}), at most {task.duration(made.limit)}\nregister it at an elevated cmd.exe prompt:\n  {register}"
    session.finish([result], as_json=as_json, show=lambda _: shown)


def _own(environ: Mapping[str, str]) -> str:
    r"""DOMAIN\name of this account. Raises UsageError where the environment does not tell it."""
    name, domain = environ.get("USERNAME"), environ.get("USERDOMAIN")
    if not name or not domain:
        raise UsageError("no account is named", hint=r"say who runs it: --user 'CORP\svc-rotator'")
    return f"{domain}\\{name}"


def _account(name: str) -> str:
    if not re.fullmatch(r'[^"/\[\]:;|=,+*?<>\x00-\x1f]+', name) or name.count("\\") > 1:
        raise UsageError(
            f"{name!r} is no account of Windows", hint=r"as CORP\svc-rotator, CORP\gmsa-rotator$ or SYSTEM"
        )
    return name


def _interval(text: str) -> timedelta:
    from rotator.config.values import duration_of
    from rotator.planning.task import LONGEST, SHORTEST

    found = duration_of(text)
    if found is None or not SHORTEST <= found <= LONGEST:
        raise UsageError(f"--every {text} is no interval of a task", hint='from 1m to 31d, as "15m" or "1h"')
    return found


def _check(config: Config, specs: tuple[ProxySpec, ...], every: timedelta, logon: "Logon") -> None:
    """Raise ConfigError or UsageError for a task that could never do what it is for."""
    from rotator.config.values import as_duration
    from rotator.planning.task import Logon, too_seldom, without_window

    for spec in without_window(specs):
        from rotator.planning.windows import no_window

        raise no_window(spec)
    missed = too_seldom(specs, every)
    if missed is not None:
        spec, window, usable = missed
        raise UsageError(
            f"{spec.name}: a run every {as_duration(every)} may never fall into the window {window.start:%H:%M}-{window.end:%H:%M}: "
            f"a start is possible for {as_duration(max(usable, timedelta()))} of it",
            hint="say --every with less than that, or make the window longer",
        )
    master = config.keyring.master_key
    if config.keyring.backend is KeyringBackend.WINDOWS and logon is Logon.S4U:
        raise UsageError(
            "the Credential Manager does not open to a task that logs on without a password (S4U)",
            hint='say --logon password; or use backend = "sealed-file" with master_key = "dpapi:FILE": see '
            "rotator keys master-key --help",
        )
    if master is not None and master.kind is SecretKind.CREDENTIAL:
        raise UsageError(
            f"{master}: credentials belong to systemd, and a task has none",
            hint="make a master key that Windows protects: rotator keys master-key --dpapi FILE",
        )


def _command(config: Config, names: list[str] | None, site: str | None, program: str | None) -> tuple[str, str]:
    """What the task runs: the program, and its arguments quoted as Windows splits them."""
    from rotator.planning.task import LONGEST_PATH

    # -I: neither PYTHON… variables nor the user's packages have a say.
    command, first = (program, []) if program else (sys.executable, ["-I", "-m", "rotator"])
    if len(command) > LONGEST_PATH:
        raise UsageError(f"the path of {command} is too long for a task", hint="name a shorter one with --program")
    chosen = list(dict.fromkeys(names)) if names else ["--all", *(["--site", site] if site else [])]
    return command, subprocess.list2cmdline([*first, "--config", str(config.source), "rotate", *chosen])
