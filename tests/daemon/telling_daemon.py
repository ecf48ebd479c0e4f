"""A simulated daemon with people to tell, and what it had them told."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from simulated import Simulation, Work
from values import key, ring, spec

from rotator.model import AnyTime, Notify, ProxySpec, Rotation


NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
PORTAL = spec(rotation=Rotation(every=5 * HOUR, windows=AnyTime()))
OTHER = replace(PORTAL, name="other", prefix="other", site="test")
HOOKS = Notify(hooks=Path("/etc/rotator/hooks.d"))
FIRST = ("--over", "--name=portal")
"""What is said after the first look, in case an earlier daemon told of a trouble."""


def simulation(
    monkeypatch: pytest.MonkeyPatch, *specs: ProxySpec, age: timedelta = HOUR, channels: Notify = HOOKS, **more: object
) -> Simulation:
    chosen = specs or (PORTAL,)
    rings = {made.name: ring(key(created=NOON - age)) for made in chosen}
    run = Simulation(chosen, NOON, rings, channels=channels, **more).patch(monkeypatch)  # type: ignore[arg-type]
    run.begin()
    return run


def due_now(monkeypatch: pytest.MonkeyPatch, work: Work, **more: object) -> Simulation:
    return simulation(monkeypatch, age=6 * HOUR, work={"portal": work}, **more)  # type: ignore[arg-type]


def options(notice: tuple[str, ...]) -> dict[str, str]:
    return dict(argument.removeprefix("--").partition("=")[::2] for argument in notice)


def troubles(run: Simulation) -> list[tuple[str, str]]:
    """Name and reason of each trouble that was said."""
    said = [options(notice) for notice in run.notices]
    return [(each.get("name", ""), each["reason"]) for each in said if "trouble" in each]


def overs(run: Simulation) -> list[tuple[str, ...]]:
    return [notice for notice in run.notices if "--over" in notice]


def locked(*names: str, message: str = "the keyring is locked") -> Callable[[Simulation], tuple[int, bytes, bytes]]:
    """A look that fails for these, and for nobody else."""

    def answer(run: Simulation) -> tuple[int, bytes, bytes]:
        keep, run.keyring = run.keyring, None
        _, out, err = run._looked()
        run.keyring = keep
        told = json.loads(out)
        error = {"reason": "KeyStoreUnavailable", "message": message, "hint": "unlock it"}
        told["results"] = [{"name": row["name"], **error} if row["name"] in names else row for row in told["results"]]
        told["errors"] = [error]
        return 255, json.dumps(told).encode(), err

    return answer
