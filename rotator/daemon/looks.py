"""What a look, `rotator due --json`, has said about the virtual proxies."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rotator.errors import RotatorError
from rotator.planning.due import Due
from rotator.planning.starts import verdict


KILLED: Final = -9
"""The status of a look that the daemon has ended because it took too long."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was found by name, and what failed by name; `failure` where nothing at all could be seen."""

    found: Mapping[str, Due] = field(default_factory=dict)
    failed: Mapping[str, RotatorError] = field(default_factory=dict)
    failure: RotatorError | None = None


def read(status: int, out: bytes, err: bytes) -> Look:
    """The outcome of a look that ended with `status`, negative for a signal."""
    if status < 0:
        why = "it gave no answer in time" if status == KILLED else f"`rotator due` was killed by signal {-status}"
        return Look(failure=RotatorError(f"the keyring could not be asked: {why}"))
    try:
        return _read(json.loads(out))
    except (ValueError, KeyError, TypeError):
        said = err.decode("utf-8", "replace").strip().splitlines()
        last = f": {said[-1]}" if said else ""
        return Look(failure=RotatorError(f"the keyring could not be asked: `rotator due` ended with {status}{last}"))


def _read(told: Mapping[str, Any]) -> Look:
    errors = [RotatorError(row["message"], hint=row["hint"]) for row in told["errors"]]
    if errors and not told["results"]:
        return Look(failure=errors[0])
    found: dict[str, Due] = {}
    failed: dict[str, RotatorError] = {}
    for row in told["results"]:
        seen = verdict(row)
        if seen is not None:
            found[row["name"]] = seen
        else:
            failed[row["name"]] = RotatorError(row["message"], hint=row["hint"])
    return Look(found, failed)
