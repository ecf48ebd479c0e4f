"""The process made unreadable for others, before the first key or password is in its memory."""

import sys
from contextlib import suppress


PR_SET_DUMPABLE = 4
"""prctl(2): without it there is no core file, whatever core_pattern says, and other processes cannot read the memory."""
NO_HEAP = 1
"""WER_FAULT_REPORTING_FLAG_NOHEAP: what Windows Error Reporting keeps of a crash leaves out the memory with the keys."""


def undumpable() -> None:
    """Leave no core file, and let no other process of this account attach to this one or read its memory."""
    if sys.platform == "win32":
        import ctypes  # noqa: PLC0415 - 5 ms, for those who need it

        with suppress(OSError, AttributeError):
            ctypes.WinDLL("kernel32").WerSetFlags(NO_HEAP)
        return
    import resource  # noqa: PLC0415 - not on Windows

    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - 5 ms, for those who need it

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
