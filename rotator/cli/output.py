"""Standard output and standard error, which may be full or gone: what a command did stands all the same."""

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import typer

from rotator.errors import ExitStatus, RotatorError
from rotator.report import text


class Unwritten(Exception):
    """The result did not reach standard output. `error` tells it, None where the reader is gone and wants no more."""

    def __init__(self, cause: OSError, status: int, *, changed: bool) -> None:
        super().__init__()
        # Of a command that only shows, the result was all; what was changed is changed.
        self.status = status if status or changed else int(ExitStatus.FAILED)
        self.error = None if isinstance(cause, BrokenPipeError) else _lost(cause, changed=changed)


def _lost(cause: OSError, *, changed: bool) -> RotatorError:
    return RotatorError(
        f"the result cannot be written to standard output: {cause.strerror}",
        hint="what was done is in rotator history, and the exit status says how it ended"
        if changed
        else "only what it shows is lost: run it again with its output elsewhere",
    )


def told(line: str) -> None:
    """A line on standard error. Where nobody can be told any more, the command goes on."""
    try:
        typer.echo(text.printable(line), err=True)
    except OSError:
        silence(sys.stderr)


def broken() -> bool:
    """Whether it is standard output that cannot be written: an empty line, which no reader minds, is tried."""
    try:
        print(flush=True)  # noqa: T201 - the trial
    except OSError:
        return True
    return False


def silence(stream: TextIO) -> None:
    """Let what is left in a stream go nowhere: Python would try once more at its end, and complain with a traceback."""
    with suppress(OSError), Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
