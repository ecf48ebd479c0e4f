"""Secrets that a command takes in: from a prompt without echo, a file, or standard input; never from an argument."""

import getpass
from pathlib import Path
from typing import Final

import typer

from rotator.cli.terminal import STANDARD_INPUT, can_ask, piped
from rotator.errors import UsageError


LARGEST: Final = 64 * 1024
"""Bytes: an RSA key of 16,384 bits in PEM has 13 KB."""


def given(source: str, option: str) -> bytes:
    """What the file `source` holds (`-`: standard input); of what is larger than LARGEST, more than that. Raises UsageError."""
    try:
        if source == STANDARD_INPUT:
            return piped(f"{option} {source}", LARGEST + 1)
        with Path(source).open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise UsageError(
            f"{option} {source}: {error.strerror}",
            hint="name a file that this account can read, or - for standard input",
        ) from None


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
