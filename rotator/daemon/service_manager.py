"""What systemd is told, by the protocol of sd_notify(3): datagrams to the socket that $NOTIFY_SOCKET names."""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta


class ServiceManager:
    """Tells the service manager; does nothing where there is none.

    Variables that are meant for this process alone are named in `PRIVATE`: children must not inherit them.
    """

    PRIVATE = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of an abstract socket.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._socket: socket.socket | None = None
        if address[:1] in ("/", "@") and hasattr(socket, "AF_UNIX"):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | getattr(socket, "SOCK_CLOEXEC", 0))
        self.watchdog = _watchdog(environ)
        """Within what time the watchdog must be fed, None where nobody watches."""
        self._status = ""

    def ready(self) -> None:
        """Started, or reloaded."""
        self._send("READY=1")

    def reloading(self) -> None:
        """The configuration is being read again. systemd compares the time with that of its own request."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Coming to an end."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`, sent where it changed."""
        if text != self._status:
            self._status = text
            self._send(f"STATUS={text}")

    def feed(self) -> None:
        """Progress was made."""
        if self.watchdog is not None:
            self._send("WATCHDOG=1")

    def extend(self, by: timedelta) -> None:
        """Stopping takes longer: until `by` from now at least."""
        self._send(f"EXTEND_TIMEOUT_USEC={by // timedelta(microseconds=1)}")

    def _send(self, message: str) -> None:
        if self._socket is None:
            return
        # Whoever listens may be gone or busy; what the daemon is for goes on without.
        with suppress(OSError):
            self._socket.sendto(message.encode(), getattr(socket, "MSG_DONTWAIT", 0), self._address)


def _watchdog(environ: Mapping[str, str]) -> timedelta | None:
    """`$WATCHDOG_USEC`, where `$WATCHDOG_PID` is this process or is not set."""
    given, process = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", "")
    if not given.isdigit() or int(given) == 0 or process not in ("", str(os.getpid())):
        return None
    return timedelta(microseconds=int(given))
