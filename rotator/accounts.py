"""Accounts of this machine, by name."""


def account(uid: int) -> str:
    """The name of an account, or its number where it has none. POSIX alone."""
    import pwd  # noqa: PLC0415 - not on Windows

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"#{uid}"
