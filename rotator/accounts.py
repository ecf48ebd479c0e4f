"""Accounts of this machine, by name."""

import getpass
import sys


def current() -> str:
    """The name of the account that runs this process, as the environment or the system tells it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        # Before Python 3.13 a service of Windows without USERNAME ends in the import of pwd.
        return "an unnamed account"


def account(uid: int) -> str:
    """The name of an account of POSIX, or its number where it has none."""
    if sys.platform == "win32":
        return f"#{uid}"
    import pwd  # noqa: PLC0415 - not on Windows

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"
