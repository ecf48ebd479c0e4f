"""Questions: answered by a flag, else by a person at the terminal, else by their default; each answer is checked at once."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import typer

from rotator.cli.secret_input import hidden, secret_text
from rotator.cli.terminal import can_ask
from rotator.config import values
from rotator.config.values import BARE, Wrong, shown
from rotator.errors import RotatorError, UsageError
from rotator.model import User
from rotator.report import text


T = TypeVar("T")


@dataclass
class Interview:
    """`given` are the flags that were set, by name. `asking`: there is a terminal, and a wrong answer is asked for again.

    `quiet`: where nobody is asked, nothing is told but what must not be missed.
    """

    given: dict[str, str]
    asking: bool = field(default_factory=can_ask)
    quiet: bool = False

    def say(self, *lines: str) -> None:
        """Something for a person to read, on standard error; each may be of several lines."""
        if self.asking or not self.quiet:
            self.warn(*lines)

    def warn(self, *lines: str) -> None:
        """The same for what must not be missed."""
        for line in "\n".join(lines).split("\n"):
            typer.echo(text.printable(line), err=True)

    def ask(
        self,
        flag: str,
        question: str,
        check: Callable[[str], T],
        *,
        default: str | None = None,
        explain: str = "",
        secret: bool = False,
    ) -> T:
        """The checked answer to one question. `check` raises Wrong or a RotatorError for what cannot be used.

        Raises that error where there is nobody to ask, and UsageError where an answer is missing then. A default that
        a terminal would obey is not offered.
        """
        question = text.printable(question)
        given = self.given.get(flag)
        if given is not None:
            try:
                return self._checked(flag, check, secret_text(given, flag, question) if secret else given)
            except RotatorError as error:
                self._complain(error)
                # Asked again from here on, also where a later answer shows that this one was wrong.
                del self.given[flag]
        if not self.asking:
            if default is None:
                raise missing([flag])
            return self._checked(flag, check, default)
        if explain:
            self.say("", explain)
        if default is not None and not default.isprintable():
            default = None
        while True:
            answer = hidden(question) if secret else str(typer.prompt(question, default=default, err=True))
            try:
                return self._checked(flag, check, answer.strip() if not secret else answer)
            except RotatorError as error:
                self._complain(error)

    def check(self, flag: str, check: Callable[[str], object]) -> None:
        """A flag, where it is given, ahead of its question; a wrong one is complained of, and asked for then."""
        if flag in self.given:
            try:
                self._checked(flag, check, self.given[flag])
            except RotatorError as error:
                self.failed(error, flag)

    def failed(self, error: RotatorError, *flags: str) -> None:
        """An answer, of one of `flags`, turned out to be wrong: they are asked again. Raises `error` where nobody is there."""
        self._complain(error)
        for flag in flags:
            self.given.pop(flag, None)

    def _complain(self, error: RotatorError) -> None:
        if not self.asking:
            raise error
        for line in text.problems(error):
            self.say(line)

    def _checked(self, flag: str, check: Callable[[str], T], answer: str) -> T:
        try:
            return check(answer)
        except Wrong as wrong:
            raise UsageError(f"{flag} {wrong}", hint="see rotator init --help") from None


def missing(flags: list[str]) -> UsageError:
    """The one error for all answers that are missing where nobody can be asked."""
    return UsageError(
        f"without a terminal these answers are missing: {', '.join(flags)}",
        hint="give them as flags, see rotator init --help, or run it on a terminal, which asks for them",
    )


def plain(parse: Callable[[object, Path], T]) -> Callable[[str], T]:
    """A parser of the configuration as a check of an answer; paths are relative to the working folder."""
    return lambda answer: parse(answer, Path.cwd())


def user(interview: Interview, flag: str, answer: str) -> User:
    r"""`DIRECTORY\id` as it is typed, without the quotes that a shell and the configuration need. Raises Wrong."""
    if answer[:1] in {"'", '"'}:
        raise Wrong(rf"must stand without quotes, as CORP\alice, not {answer}")
    try:
        return values.user(answer, Path())
    except Wrong:
        if flag in interview.given:  # on a command line, where a shell takes backslashes
            raise
        raise Wrong(rf"must name directory and user, as CORP\alice, not {shown(answer)}") from None


def table_name(answer: str) -> str:
    """The name of a table of the configuration. Raises Wrong."""
    if not BARE.fullmatch(answer):
        raise Wrong(f"must hold letters, digits, - and _ only, not {shown(answer)}")
    return answer


def flags(options: Mapping[str, str | None]) -> dict[str, str]:
    """Those that were set."""
    return {name: value for name, value in options.items() if value is not None}
