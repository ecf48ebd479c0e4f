"""Lines on standard error; with a priority for the journal of systemd where it is what reads them."""

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from rotator.errors import RotatorError
from rotator.report.text import problems


ERROR: Final = 3
WARNING: Final = 4
INFO: Final = 6


class Lines:
    """Writes `rotator: …`, with the prefix `<N>` of sd-daemon(3) where standard error is the journal."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._journal = _is_journal(environ.get("JOURNAL_STREAM", ""))

    def info(self, line: str) -> None:
        """What happens."""
        self._write(INFO, f"rotator: {line}")

    def warning(self, line: str) -> None:
        """What somebody should look at."""
        self._write(WARNING, f"rotator: {line}")

    def error(self, error: RotatorError) -> None:
        """What somebody has to do something about."""
        for line in problems(error):
            self._write(ERROR, line)

    def _write(self, priority: int, line: str) -> None:
        if sys.stderr is None:  # closed by whoever started it
            return
        prefix = f"<{priority}>" if self._journal else ""
        # Whoever reads may be gone; what the daemon is for goes on without.
        with suppress(OSError):
            sys.stderr.write(f"{prefix}{line}\n")
            sys.stderr.flush()


def _is_journal(stream: str) -> bool:
    """Whether `$JOURNAL_STREAM`, device and inode, is standard error; it may be inherited by a shell."""
    if sys.stderr is None:
        return False
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):
        return False
    return stream == f"{found.st_dev}:{found.st_ino}"
