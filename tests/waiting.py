"""Waiting for something that another process does: never without an end, and saying what did not come."""

import time
from collections.abc import Callable


POLL = 0.005
"""Seconds between looks: some requests are held back for a tenth of a second only."""


def eventually(what: str, condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until `condition()` holds. Raises AssertionError."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(POLL)
