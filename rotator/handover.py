"""The hand-over of a new private key to a configured executable, through a pipe and nothing else."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rotator.errors import NotDelivered
from rotator.keys import PrivateKey
from rotator.model import KeyVersion, short


HOOK_TIMEOUT: Final = 60.0
"""Seconds a hook may take."""
_INHERITED: Final = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TZ"),
    # Without these PowerShell and cmd.exe do not start.
    *("SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "TEMP", "TMP", "PROGRAMDATA", "USERPROFILE"),
    *("LOCALAPPDATA", "APPDATA"),
)
_LONG_RUN: Final = re.compile(r"[A-Za-z0-9+/=_-]{40,}")
_EXCERPT: Final = 200


@dataclass(frozen=True, slots=True)
class Hook:
    """Runs `executable` with the key as PKCS#8 PEM on its standard input.

    The environment tells the rest: `ROTATOR_EVENT` (`key`), `ROTATOR_DELIVERY_ID` (the same when a delivery is made
    again), `ROTATOR_KID`, `ROTATOR_FINGERPRINT`, `ROTATOR_NOT_AFTER`, and `ROTATOR_SITE`, `ROTATOR_NAME`,
    `ROTATOR_PREFIX`, `ROTATOR_ALGORITHM`. Exit status 0 says that the key is in use from now on.
    """

    executable: Path | None

    def deliver(self, delivery_id: str, version: KeyVersion, key: PrivateKey, details: Mapping[str, str]) -> None:
        """Run the hook to its end. Raises NotDelivered."""
        name = details["NAME"]
        if self.executable is None:
            raise NotDelivered(
                f"{name}: the key {short(version.fingerprint)} is to be handed over, but no hook is configured",
                hint=f'set hook = "/path/to/executable" in [proxy.{name}], then run rotator rotate {name}',
            )
        told = {
            "EVENT": "key",
            "DELIVERY_ID": delivery_id,
            "KID": version.kid,
            "FINGERPRINT": version.fingerprint,
            "NOT_AFTER": f"{version.not_after:%Y-%m-%dT%H:%M:%SZ}",
            **details,
        }
        environment = {variable: os.environ[variable] for variable in _INHERITED if variable in os.environ}
        environment |= {f"ROTATOR_{variable}": value for variable, value in told.items()}
        try:
            ended = subprocess.run(
                [self.executable],
                input=key.to_pem(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environment,
                timeout=HOOK_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            cause = f"did not end within {HOOK_TIMEOUT:.0f} s and was stopped"
        except OSError as error:
            cause = f"could not be started: {error.strerror}"
        else:
            if ended.returncode == 0:
                return
            cause = f"ended with status {ended.returncode}{_said(ended.stderr)}"
        raise NotDelivered(
            f"{name}: the key {short(version.fingerprint)} is current, but the hook {self.executable} {cause}",
            hint=f"the hook is run again by the next run: mend it, then run rotator rotate {name}",
        ) from None


def _said(stderr: bytes) -> str:
    """The last line the hook wrote, with everything taken out that could be a piece of the key it was given."""
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    if not lines:
        return ""
    printable = "".join(character if character.isprintable() else " " for character in lines[-1])
    return f": {_LONG_RUN.sub('…', printable)[:_EXCERPT]}"
