"""The JSON document that every command with `--json` prints, on failure too."""

import json
from collections.abc import Mapping, Sequence

from rotator.errors import ConfigError, RotatorError
from rotator.model import Check, Json, Result


SCHEMA = 1


def document(
    command: str, exit_status: int, results: Sequence[Result], errors: Sequence[RotatorError]
) -> dict[str, Json]:
    """`{"schema", "command", "exit", "results": […], "errors": […]}` with whole fingerprints and times in UTC."""
    failures: list[Json] = [row for error in errors for row in _error(error)]
    return {
        "schema": SCHEMA,
        "command": command,
        "exit": int(exit_status),
        "results": [_result(result) for result in results],
        "errors": failures,
    }


def rendered(value: Mapping[str, Json]) -> str:
    """The document as text of several lines, in any terminal's encoding."""
    return json.dumps(value, indent=2)


def _result(result: Result) -> dict[str, Json]:
    return {
        "site": result.site,
        "name": result.name,
        "proxy_id": result.proxy_id,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "message": result.message,
        "hint": result.hint,
        "kid": result.key.kid if result.key else None,
        "fingerprint": result.key.fingerprint if result.key else None,
        "proxies": [_check(check) for check in result.checks],
        **result.extra,
    }


def _check(check: Check) -> dict[str, Json]:
    return {"host": check.host, "check": check.name, "result": check.result.value, "detail": check.detail}


def _error(error: RotatorError) -> list[Json]:
    if isinstance(error, ConfigError) and error.problems:
        return [{"reason": error.reason, "message": problem, "hint": error.hint} for problem in error.problems]
    return [{"reason": error.reason, "message": error.message, "hint": error.hint}]
