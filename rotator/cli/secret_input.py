"""Secrets that a command takes in: from a prompt without echo, a file, or standard input; never from an argument."""

import getpass
import os
import stat
from pathlib import Path

import typer

from rotator.cli.output import told
from rotator.cli.terminal import STANDARD_INPUT, can_ask, piped
from rotator.errors import UsageError
from rotator.keystore.secret_refs import LARGEST
from rotator.ownership import Cause, Use, guard


def given(source: str, option: str) -> bytes:
    """What the file `source` holds (`-`: standard input); of what is larger than LARGEST, more than that. Raises UsageError.

    A file that others can read is taken, with a warning.
    """
    try:
        if source == STANDARD_INPUT:
            return piped(f"{option} {source}", LARGEST + 1)
        with Path(source).open("rb") as file:
            _warn(Path(source), option, file.fileno())
            return file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(
            f"{option} {source}: {error.strerror}",
            hint="name a file that this account can read, or - for standard input",
        ) from None


def _warn(path: Path, option: str, opened: int) -> None:
    """Say who besides this account and root can read a file that is being read. Pipes are nobody else's."""
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        return
    fault = guard().fault(path, Use.PRIVATE, administrator=True, follow=True, opened=opened)
    if fault is None or fault.cause is Cause.UNREADABLE:
        return
    remedy = f"{fault.hint}; or delete it" if fault.cause is Cause.SHARED and fault.hint else "delete it"
    told(f"rotator: warning: {option} {fault.message}: others may know this secret; once it is taken in: {remedy}")


def secret_text(source: str | None, option: str, question: str) -> str:
    """The secret from the file `source` (`-`: standard input), or asked for on a terminal where it is None.

    Without the line end that editors add. Raises UsageError.
    """
    if source is None:
        if not can_ask():
            raise UsageError(f"{option} is missing", hint=f"{option} FILE reads it from a file, {option} - from a pipe")
        return hidden(question)
    data = given(source, option)
    try:
        text = data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        text = ""
    if not text or len(data) > LARGEST or "\n" in text:
        raise UsageError(f"{option} {source}: is not one line of text in UTF-8", hint="a secret is one line")
    return text


def hidden(question: str) -> str:
    """A secret as a person types it. Not typer's prompt, which asks before the echo is off, and so may show what is typed."""
    try:
        return getpass.getpass(f"{question}: ")
    except (KeyboardInterrupt, EOFError):
        raise typer.Abort from None
