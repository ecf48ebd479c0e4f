"""What a look, `rotator due --json`, has said about the virtual proxies."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rotator.errors import LookFailed, RotatorError
from rotator.planning.due import Due
from rotator.planning.starts import verdict


HINT: Final = "unlock the keyring, or see that it is there: rotator due shows what it says; it is asked again by itself"
KILLED_HINT: Final = "see whether memory had run out: journalctl -k --grep=oom; it is asked again by itself"


@dataclass(frozen=True, slots=True)
class Look:
    """What was found by name, and what failed by name; `failure` where nothing at all could be seen."""

    found: Mapping[str, Due] = field(default_factory=dict)
    failed: Mapping[str, RotatorError] = field(default_factory=dict)
    failure: RotatorError | None = None

    @property
    def troubles(self) -> Mapping[str, RotatorError]:
        """What failed by name; one of all virtual proxies, as a keyring that is locked, once and with an empty name."""
        if self.failure is not None:
            return {"": self.failure}
        same = {(error.reason, error.message) for error in self.failed.values()}
        if not self.found and len(self.failed) > 1 and len(same) == 1:
            return {"": next(iter(self.failed.values()))}
        return self.failed

    @property
    def well(self) -> frozenset[str]:
        """The names that nothing is the matter with; the empty one where the keyring could be asked for any."""
        if self.failure is not None or (self.failed and not self.found):
            return frozenset()
        return frozenset({"", *self.found})


def read(status: int, out: bytes, err: bytes, *, late: bool) -> Look:
    """The outcome of a look that ended with `status`, negative for a signal; `late`: the daemon has ended it."""
    if late and (status < 0 or not out):
        return Look(failure=LookFailed("the keyring could not be asked: it gave no answer in time", hint=HINT))
    if status < 0:
        told = f"the keyring could not be asked: `rotator due` was killed by signal {-status}"
        return Look(failure=LookFailed(told, hint=KILLED_HINT))
    try:
        return _read(json.loads(out))
    except (ValueError, KeyError, TypeError):
        said = err.decode("utf-8", "replace").strip().splitlines()
        last = f": {said[-1]}" if said else ""
        told = f"the keyring could not be asked: `rotator due` ended with {status}{last}"
        return Look(failure=LookFailed(told, hint=HINT))


def _read(told: Mapping[str, Any]) -> Look:
    errors = [_error(row) for row in told["errors"]]
    if errors and not told["results"]:
        return Look(failure=errors[0])
    found: dict[str, Due] = {}
    failed: dict[str, RotatorError] = {}
    for row in told["results"]:
        seen = verdict(row)
        if seen is not None:
            found[row["name"]] = seen
        else:
            failed[row["name"]] = _error(row)
    return Look(found, failed)


def _error(row: Mapping[str, Any]) -> LookFailed:
    return LookFailed(row["message"], hint=row["hint"], cause=row.get("reason", "Failed"))
