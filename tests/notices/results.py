"""Results of runs as notices are made of them, a trouble that was told before, and who writes."""

from datetime import datetime, timedelta
from itertools import count

from values import NOW

from rotator.model import Check, CheckResult, Outcome, Result, Trouble
from rotator.planning.notices import Writer


def writer(command: str = "rotate", now: datetime = NOW) -> Writer:
    numbers = count()
    return Writer("host", command, now, lambda: f"id{next(numbers)}")


def failure(reason: str = "ServerUnreachable", status: int = 1) -> Result:
    return Result("prod", "portal", Outcome.FAILED, reason, "it failed", "do this", exit_status=status)


def success(outcome: Outcome = Outcome.ROTATED, reason: str = "Promoted", *, tested: bool = False) -> Result:
    checks = (Check("h", "current", CheckResult.PASSED, ""),) if tested else ()
    return Result("prod", "portal", outcome, reason, "it is well", checks=checks)


def trouble(reason: str = "ServerUnreachable", told: datetime = NOW) -> Trouble:
    return Trouble("prod", "portal", reason, NOW - timedelta(hours=3), told)
