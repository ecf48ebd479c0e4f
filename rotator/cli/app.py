"""The commands, the options before them, and the one place where errors become exit statuses."""

import io
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated


# Help and errors are plain lines: importing rich doubles the start-up.
os.environ["TYPER_USE_RICH"] = "0"

import typer

from rotator.cli.adopt import adopt
from rotator.cli.create_proxy import create_proxy
from rotator.cli.daemon import daemon
from rotator.cli.demo import demo
from rotator.cli.doctor import doctor
from rotator.cli.due import DUE_ERROR, due
from rotator.cli.history import history
from rotator.cli.init.command import init
from rotator.cli.install_task import install_task
from rotator.cli.install_units import install_units
from rotator.cli.keys import keys
from rotator.cli.master_key import master_key
from rotator.cli.notify import notify
from rotator.cli.output import Unwritten, broken, silence, told
from rotator.cli.recover import recover
from rotator.cli.release import release
from rotator.cli.rollback import rollback
from rotator.cli.rotate import rotate
from rotator.cli.sandbox import epilog as sandbox_help
from rotator.cli.sandbox import sandbox
from rotator.cli.session import Session, emit, log_to_stderr, silence_libraries
from rotator.cli.status import status
from rotator.cli.telling import after_death
from rotator.cli.terminal import piped
from rotator.cli.token import token
from rotator.cli.verify import verify
from rotator.errors import ExitStatus, PersonNeeded, RotatorError, UsageError
from rotator.report import text


INTERRUPTED = 130
BEGUN = "whatever was begun is finished or undone by the next run"

_started: list[Session] = []
"""The command that this process runs, for the case that it dies early."""

app = typer.Typer(
    name="rotator",
    help="Provisions JWT virtual proxies on Qlik Sense Enterprise on Windows and rotates their signing keys.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command, name, said in (
    (init, "init", "Write a first configuration."),
    (create_proxy, "create-proxy", "Create or repair virtual proxies."),
    (adopt, "adopt", "Take over a virtual proxy in use."),
    (rotate, "rotate", "Replace the signing key."),
    (daemon, "daemon", "Run the schedule in one process."),
    (due, "due", "Tell by the exit status what is due."),
    (verify, "verify", "Test logins on every proxy."),
    (status, "status", "Show how things are now."),
    (history, "history", "Tell what was done and why."),
    (rollback, "rollback", "Put the previous key back."),
    (recover, "recover", "Finish or undo what a crash left."),
    (token, "token", "Sign a short-lived token."),
    (release, "release", "Stop managing a virtual proxy."),
    (notify, "notify", "Deliver the notices that wait, or a test."),
    (doctor, "doctor", "Try everything that has to work."),
    (install_units, "install-units", "Put the systemd units in place."),
    (install_task, "install-task", "Write a scheduled task for Windows."),
    (sandbox, "sandbox", "Run a stand-in for Qlik Sense."),
    (demo, "demo", "Tell the whole story in a minute."),
):
    # Its help is written by the sandbox, which no other command loads.
    app.command(name, short_help=said, epilog=sandbox_help() if name == "sandbox" in sys.argv else None)(command)
keys.command("master-key", short_help="Make a master key for sealed files.")(master_key)
app.add_typer(keys, name="keys", short_help="List, export, prune, move and reseal keys.")


@app.callback()
def options(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="The configuration file (or $ROTATOR_CONFIG).",
            readable=False,  # who may read it is told where it is read
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Tell every step on standard error.")] = False,
    config_from_stdin: Annotated[
        bool, typer.Option("--config-from-stdin", hidden=True, help="FILE as the daemon has read it.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", help="The version.")] = False,
) -> None:
    """Take the options before the command."""
    if version:
        from rotator.version import __version__

        typer.echo(f"rotator {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(ExitStatus.USAGE)
    context.obj = Session(context.invoked_subcommand, config, verbose, at_end=context.call_on_close)
    if config_from_stdin:
        context.obj.config_text = piped("--config-from-stdin").decode()
    _started.append(context.obj)
    if verbose:
        log_to_stderr()


def run(arguments: Sequence[str]) -> int:
    """Run one command line to its exit status. Every error ends here, as lines on standard error and in the JSON."""
    _started.clear()
    _printable()
    silence_libraries()
    try:
        return _ran(arguments)
    except Unwritten as lost:
        for line in text.problems(lost.error) if lost.error else ():
            told(line)
        return _status(arguments, lost.status)


def _ran(arguments: Sequence[str]) -> int:
    try:
        # Outside standalone mode typer returns the status of typer.Exit and raises the rest.
        returned = app(list(arguments), prog_name="rotator", standalone_mode=False)
    except RotatorError as error:
        return _fail(arguments, error)
    except typer.Abort:
        # At a question of ours; nothing is changed before the last of them.
        return _interrupted(arguments, "nothing was changed")
    except KeyboardInterrupt:
        return _interrupted(arguments, BEGUN)
    except Unwritten:
        raise
    except Exception as error:  # noqa: BLE001 - the boundary: nothing leaves rotator as a traceback unasked
        if isinstance(error, OSError) and broken():  # a help, or the story of the demo
            silence(sys.stdout)
            raise Unwritten(error, ExitStatus.DONE, changed=False) from None
        usage = _usage(error, arguments)
        return _fail(arguments, usage or _bug(error, arguments))
    if returned == INTERRUPTED:  # typer's way to tell of Ctrl-C anywhere else
        return _interrupted(arguments, BEGUN)
    return returned if isinstance(returned, int) else ExitStatus.DONE


def _interrupted(arguments: Sequence[str], how: str) -> int:
    told(f"rotator: interrupted; {how}")
    return _status(arguments, INTERRUPTED)


def _printable() -> None:
    """Never fail over a character: output may go to a code page of Windows or a locale of old, which have 256 of them."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _usage(error: Exception, arguments: Sequence[str]) -> UsageError | None:
    """What typer says of arguments it cannot use. Its base class for that is not public, its method is."""
    says = getattr(error, "format_message", None)
    if says is None:
        return None
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "rotator")
    message = str(says()).strip().rstrip(".")
    option = getattr(error, "option_name", None)
    where = _elsewhere(option, path, arguments)
    if where:
        return UsageError(f"no such option here: {option}", hint=where)
    return UsageError(message[:1].lower() + message[1:], hint=f"see {path} --help")


def _elsewhere(option: str | None, path: str, arguments: Sequence[str]) -> str | None:
    """Where an option stands that was given in the wrong place."""
    program, _, command = path.partition(" ")
    if command and option in ("-v", "--verbose", "--config"):
        value = " FILE" if option == "--config" else ""
        return f"it goes before the command: {program} {option}{value} {command}"
    if not command and option == "--json":
        name = _command(arguments) or "COMMAND"
        return f"it goes after the command: {program} {'keys COMMAND' if name == 'keys' else name} --json"
    return None


def _bug(error: Exception, arguments: Sequence[str]) -> PersonNeeded:
    """What should not happen. The traceback is told on request; it holds no values, as those may be secret."""
    if _started[-1].verbose if _started else {"-v", "--verbose"} & set(arguments):
        import traceback

        for frame in traceback.extract_tb(error.__traceback__):
            told(f"rotator: at {frame.filename}:{frame.lineno} in {frame.name}")
    return PersonNeeded(
        f"this is a bug in rotator: {type(error).__name__}",
        hint="run rotator status to see how things stand, and report it with what rotator -v prints",
    )


def _fail(arguments: Sequence[str], error: RotatorError) -> int:
    command = _command(arguments)
    status = _status(arguments, error.exit_status)
    untold = after_death(_started[-1], error) if _started else []
    emit(command, status, (), (error, *untold), as_json="--json" in arguments)
    return status


def _status(arguments: Sequence[str], status: int) -> int:
    return DUE_ERROR if _command(arguments) == "due" else status


def _command(arguments: Sequence[str]) -> str:
    """The command that was started; else the one among the arguments, which could not be parsed."""
    if _started:
        return _started[-1].command
    names = {command.name for command in app.registered_commands} | {"keys"}
    of_options = {after for before, after in pairwise(arguments) if before == "--config"}
    return next((argument for argument in arguments if argument in names - of_options), "")
