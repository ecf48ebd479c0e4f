"""rotator with a keyring that fails: `FAULT N LIMIT ARGUMENTS…` runs it, and the N-th call or write of the keyring strikes.

The keyring is a backend of the keyring library over the sealed files of the sandbox, opened the way a keyring of an
operating system is: through the time limit, a new connection for each read-back, and the mapping of its errors. With
the fault `real` it is the configured one, and LIMIT alone is changed.
"""

import os
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked


CALLS: Final = ("hangs", "refuses", "refuses once")
"""Faults that strike at the N-th call of any kind, and, but for the last, at all that follow."""
WRITES: Final = ("lies", "forgets", "is late", "loses the last")
"""Faults that strike at the N-th write alone."""


class Plan:
    """What strikes when; one for all connections."""

    fault = ""
    at = 0
    limit = 1.0
    calls = 0
    writes = 0
    folder = Path()
    key = b""
    lock = threading.Lock()


class Faulty(KeyringBackend):
    """A keyring of somebody else."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        from rotator.keystore.sealed_file_backend import SealedFileKeyring

        self._kept = SealedFileKeyring()  # type: ignore[no-untyped-call]
        self._kept.folder, self._kept.master_key = Plan.folder, Plan.key
        self._shown: dict[str, str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        self._called()
        return self._shown.get(username) or self._kept.get_password(service, username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self._called()
        strikes = self._written()
        if strikes and Plan.fault == "lies":
            return
        if strikes and Plan.fault == "forgets":
            self._shown[username] = password
            return
        if strikes and Plan.fault == "is late":
            time.sleep(Plan.limit * 1.5)
        before = self._kept.get_password(service, username)
        self._kept.set_password(service, username, password)
        if strikes and Plan.fault == "loses the last":
            if before is None:
                self._kept.delete_password(service, username)
            else:
                self._kept.set_password(service, username, before)
            os._exit(137)

    def delete_password(self, service: str, username: str) -> None:
        self._called()
        if not (self._written() and Plan.fault == "lies"):
            self._kept.delete_password(service, username)

    def _called(self) -> None:
        with Plan.lock:
            Plan.calls += 1
            number = Plan.calls
        if Plan.fault == "hangs" and number >= Plan.at:
            threading.Event().wait()
        if (Plan.fault == "refuses" and number >= Plan.at) or (Plan.fault == "refuses once" and number == Plan.at):
            raise KeyringLocked("the collection is locked")

    def _written(self) -> bool:
        with Plan.lock:
            Plan.writes += 1
            return Plan.writes == Plan.at


def main() -> None:
    """Run rotator."""
    Plan.fault, Plan.at, Plan.limit = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    sys.argv[1:] = sys.argv[4:]
    import rotator.cli.keyring
    from rotator import model
    from rotator.__main__ import main as rotator_main
    from rotator.keystore import secret_refs
    from rotator.keystore.os_keyring import OsKeyring
    from rotator.keystore.sealing import master_key

    def open_store(settings: model.KeyringSettings, environ: Mapping[str, str]) -> OsKeyring:
        if Plan.fault == "real":
            return OsKeyring(settings.backend, limit=Plan.limit)
        assert settings.path is not None
        assert settings.master_key is not None
        Plan.folder = settings.path
        Plan.key = master_key(secret_refs.read(settings.master_key, environ), "the configuration")
        return OsKeyring(model.KeyringBackend.SECRET_SERVICE, Faulty, limit=Plan.limit)

    # At the border: whatever asks for the configured keyring gets this one.
    vars(rotator.cli.keyring)["open_store"] = open_store
    try:
        rotator_main()
    finally:
        if Plan.fault == "counts":
            print(f"{Plan.calls} {Plan.writes}", file=sys.stderr)  # noqa: T201 - to the test


if __name__ == "__main__":
    main()
