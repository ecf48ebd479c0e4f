"""The schedule in one long-lived process. It touches neither keys nor servers: each rotation is a child process."""

from typing import Final


CHILD_VARIABLE: Final = "ROTATOR_DAEMON"
"""Set in the environment of what the daemon starts, so that the journal says who started it."""
