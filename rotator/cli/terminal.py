"""Whether a person is there, and standard input: any of the three standard streams may be closed, and is None then."""

import sys
from typing import Final

from rotator.errors import UsageError


STANDARD_INPUT: Final = "-"
"""In place of a file's name."""


def can_ask() -> bool:
    """Whether there is somebody to ask: standard input is a terminal, and nothing that a question needs is closed."""
    return None not in (sys.stdin, sys.stdout, sys.stderr) and sys.stdin.isatty()


def is_watched() -> bool:
    """Whether somebody sees what is said on standard error."""
    return sys.stderr is not None and sys.stderr.isatty()


def piped(what: str, largest: int = -1) -> bytes:
    """What standard input gives for `what`, at most `largest` bytes. Raises OSError, and UsageError where it is closed."""
    if sys.stdin is None:
        raise UsageError(
            f"{what}: standard input is closed", hint="name a file in its place, or send it through a pipe"
        )
    return sys.stdin.buffer.read(largest)
