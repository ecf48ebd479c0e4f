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


def of_group(gid: int) -> str | None:
    """The account that is named as a group of POSIX is, None where there is none: a program's account has such a group."""
    if sys.platform == "win32":
        return None
    import grp  # noqa: PLC0415 - not on Windows
    import pwd  # noqa: PLC0415

    try:
        return pwd.getpwnam(grp.getgrgid(gid).gr_name).pw_name
    except KeyError:
        return None


def account(uid: int) -> str:
    """The name of an account of POSIX, or its number where it has none."""
    if sys.platform == "win32":
        return f"#{uid}"
    import pwd  # noqa: PLC0415 - not on Windows

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"
