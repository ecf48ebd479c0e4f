"""The hand-over of a new private key to a configured executable, through a pipe and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rotator import executables
from rotator.errors import NotDelivered
from rotator.keys import PrivateKey
from rotator.model import KeyVersion, short, utc


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
            "NOT_AFTER": utc(version.not_after),
            **details,
        }
        try:
            executables.run([self.executable], told, key.to_pem())
        except executables.Failed as failed:
            raise NotDelivered(
                f"{name}: the key {short(version.fingerprint)} is current, but the hook {self.executable} {failed}",
                hint=f"the hook is run again by the next run: mend it, then run rotator rotate {name}",
            ) from None
