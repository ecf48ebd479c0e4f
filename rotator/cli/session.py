"""One run of one command: its configuration, what it prints, and the exit status it ends in."""

import logging
import sys
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from rotator.cli.output import Unwritten, silence, told
from rotator.cli.terminal import is_watched
from rotator.errors import ExitStatus, FoundWrong, NotTold, RotatorError, UsageError, worst
from rotator.model import Outcome, ProxySpec, Result
from rotator.report import text


if TYPE_CHECKING:
    from rotator.model import Config


@dataclass
class Session:
    """What the options before the command said, and the command's name.

    `config_text` stands for what is in the file. `at_end` takes what has to be done when the command has ended. `quiet`:
    nobody wants to see progress.
    """

    command: str
    config_path: Path | None = None
    verbose: bool = False
    quiet: bool = False
    config_text: str | None = field(default=None, repr=False)
    at_end: Callable[[Callable[[], None]], object] = field(default=lambda _: None, repr=False)
    _config: "Config | None" = field(default=None, repr=False)

    @property
    def config(self) -> "Config":
        """The configuration, read once. Raises ConfigError."""
        if self._config is None:
            import os

            from rotator.config import find, load, load_text

            source = find(self.config_path, os.environ)
            text = self.config_text
            self._config = load(source, os.environ) if text is None else load_text(text, source, os.environ)
        return self._config

    def tell(self, line: str) -> None:
        """Progress: for a person at a terminal, or with -v."""
        if self.verbose or (is_watched() and not self.quiet):
            told(f"rotator: {line}")

    def warn(self, line: str) -> None:
        """What nobody may miss though the command goes on: on standard error always, as the journal of systemd keeps it."""
        told(f"rotator: warning: {line}")

    def specs(self, names: Sequence[str] | None, site: str | None) -> tuple[ProxySpec, ...]:
        """The virtual proxies that are named, of one site where `site` is given; all where none is named.

        Raises UsageError for a name or site that the configuration does not have.
        """
        config = self.config
        if site is not None and site not in config.sites:
            raise UsageError(f"there is no site {site!r} in {config.source}", hint=_known("site", site, config.sites))
        chosen = {name: spec for name, spec in config.proxies.items() if site in (None, spec.site)}
        for name in names or ():
            if name not in chosen:
                where = f"site {site}" if site else str(config.source)
                raise UsageError(f"there is no [proxy.{name}] in {where}", hint=_known("proxy", name, chosen))
        return tuple(chosen[name] for name in dict.fromkeys(names)) if names else tuple(chosen.values())

    def one(self, name: str, site: str | None = None) -> ProxySpec:
        """The virtual proxy of this name. Raises UsageError."""
        return self.specs([name], site)[0]

    def each(
        self, specs: Sequence[ProxySpec], verb: Callable[[ProxySpec], Result]
    ) -> tuple[list[Result], list[RotatorError]]:
        """Do `verb` for each: that one fails does not hurt the others. Errors are among the results, and alone too.

        Alone, an error names whom it is about where there are several; what several have in common, as a server that is
        down, is told once.
        """
        results: list[Result] = []
        errors: dict[tuple[str, str, str | None], tuple[RotatorError, list[str]]] = {}
        for spec in specs:
            try:
                results.append(verb(spec))
            except RotatorError as error:
                results.append(failed(spec, error))
                errors.setdefault((error.reason, error.message, error.hint), (error, []))[1].append(spec.name)
        several = len(specs) > 1
        return results, [error.about(names) if several else error for error, names in errors.values()]

    def finish(
        self,
        results: Sequence[Result],
        errors: Sequence[RotatorError] = (),
        *,
        as_json: bool,
        show: Callable[[Result], str] = text.line,
        above: str = "",
        status: int | None = None,
    ) -> NoReturn:
        """Print what came out, `above` before it for a person, and end with the worst of the exit statuses, or `status`."""
        if status is None:
            untold = [error for error in errors if isinstance(error, NotTold)]
            statuses = [ExitStatus(result.exit_status) for result in results]
            statuses += [error.exit_status for error in errors if error not in untold]
            unusual = [value for value in statuses if value in (ExitStatus.CONFIG, ExitStatus.USAGE)]
            status = unusual[0] if unusual and len(set(statuses)) == 1 else worst(_ranked(statuses))
            if untold and status == ExitStatus.DONE:  # of a failure the reader must know first that it is one
                status = ExitStatus.NOT_DELIVERED
        emit(self.command, status, results, errors, as_json=as_json, show=show, above=above)
        raise typer.Exit(status)


def _ranked(statuses: Sequence[ExitStatus]) -> list[ExitStatus]:
    """Among several virtual proxies a configuration error of one is a failure of the run."""
    return [ExitStatus.FAILED if status in (ExitStatus.CONFIG, ExitStatus.USAGE) else status for status in statuses]


def emit(
    command: str,
    status: int,
    results: Sequence[Result],
    errors: Sequence[RotatorError],
    *,
    as_json: bool,
    show: Callable[[Result], str] = text.line,
    above: str = "",
) -> None:
    """Results on standard output, errors on standard error; with `as_json` one document holds both.

    Raises Unwritten, when the errors are told, where standard output cannot be written.
    """
    unwritten = None
    try:
        if as_json:
            from rotator.report.document import document, rendered

            typer.echo(rendered(document(command, status, results, errors)))
        else:
            shown = (show(item) if item.outcome is not Outcome.FAILED else text.checks(item) for item in results)
            for part in filter(None, (above, *shown)):
                typer.echo(part)
    except OSError as error:
        silence(sys.stdout)
        unwritten = error
    for problem in errors:
        for line in text.problems(problem):
            told(line)
    if unwritten is not None:
        raise Unwritten(unwritten, status, changed=any(map(_changed, results)))


_LOOKS = {Outcome.SHOWN, Outcome.DUE, Outcome.PLANNED, Outcome.VERIFIED, Outcome.UNCHANGED, Outcome.FAILED}


def _changed(result: Result) -> bool:
    """Whether more was done than shown: a file that was written is named as `output`, or `file`."""
    return result.outcome not in _LOOKS or bool(result.extra.get("output") or result.extra.get("file"))


def failed(spec: ProxySpec, error: RotatorError) -> Result:
    """An error as the result of one virtual proxy."""
    return Result(
        site=spec.site,
        name=spec.name,
        outcome=Outcome.FAILED,
        reason=error.reason,
        message=error.message,
        hint=error.hint,
        key=error.key,
        checks=error.checks,
        exit_status=error.exit_status,
    )


def found_wrong(result: Result, name: str = "") -> FoundWrong:
    """What a result that shows how things stand says is wrong, as an error; about `name` where that is not its own."""
    said = result.message.removeprefix(f"{result.name}: ")
    error = FoundWrong(said, hint=result.hint, reason=result.reason, exit_status=ExitStatus(result.exit_status))
    return error.about([name or result.name])


_NOWHERE = logging.NullHandler()


def silence_libraries() -> None:
    """Let libraries log nowhere: their lines have URLs, which may be secret, and tracebacks.

    What is logged without any handler goes to standard error, a warning or worse. So do warnings to developers, as of a
    serial number in somebody's certificate, unless Python is told what to do with them.
    """
    logging.getLogger().addHandler(_NOWHERE)
    if not sys.warnoptions:
        warnings.simplefilter("ignore")


def log_to_stderr() -> None:
    """What the adapters log, on standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_OneLine("rotator: %(name)s: %(message)s"))
    logger = logging.getLogger("rotator")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False


class _OneLine(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return text.printable(super().format(record))


def _known(what: str, name: str, known: Iterable[str]) -> str:
    names = list(known)
    close = get_close_matches(name, names, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"there is: {', '.join(names)}" if names else f"the configuration has no {what} that fits"
