"""The metrics file, and the alert rules that are made for it."""

import os
import re
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from exposition import samples
from values import NOW

from rotator import metrics
from rotator.errors import MetricsFailed
from rotator.model import Figures, Standing, Tally


ROOT = Path(__file__).parents[2]
RULES = ROOT / "config" / "rotator.rules.yml"
FIGURES = Figures(
    standings=(
        Standing("prod", "", certificate_ends=NOW + timedelta(days=9)),
        Standing("prod", "portal", NOW + timedelta(days=99), NOW - timedelta(days=3), NOW + timedelta(days=27), 2),
        Standing("prod", "bare"),
    ),
    tallies=(
        Tally(
            "prod",
            "portal",
            last_run=NOW,
            last_exit=4,
            last_success=NOW - timedelta(days=1),
            sessions_cut=12,
            rotations=(
                ("rotated", 0, "Promoted", 3),
                ("unchanged", 0, "NotYet", 5),
                ("failed", 3, "LockHeld", 1),
                ("failed", 5, "NotDelivered", 1),
                ("failed", 1, "Undone", 2),
                ("failed", 4, "UndoFailed", 1),
                ("interrupted", None, "", 1),
            ),
        ),
    ),
    undelivered=2,
    given_up=1,
)


def test_every_figure_is_a_sample(tmp_path: Path) -> None:
    path = tmp_path / "rotator.prom"
    metrics.write(path, FIGURES, None)
    told = samples(path)
    of = ("prod", "portal")
    assert (
        told["rotator_client_certificate_not_after_timestamp_seconds", "prod"] == (NOW + timedelta(days=9)).timestamp()
    )
    assert told["rotator_certificate_not_after_timestamp_seconds", *of] == (NOW + timedelta(days=99)).timestamp()
    assert told["rotator_current_key_created_timestamp_seconds", *of] == (NOW - timedelta(days=3)).timestamp()
    assert told["rotator_next_due_timestamp_seconds", *of] == (NOW + timedelta(days=27)).timestamp()
    assert told["rotator_retry_attempts", *of] == 2
    assert told["rotator_last_run_timestamp_seconds", *of] == NOW.timestamp()
    assert told["rotator_last_run_exit_status", *of] == 4
    assert told["rotator_last_success_timestamp_seconds", *of] == (NOW - timedelta(days=1)).timestamp()
    assert told["rotator_sessions_cut_total", *of] == 12
    assert (told["rotator_notices_undelivered",], told["rotator_notices_given_up_total",]) == (2, 1)
    rotations = {key[3:]: value for key, value in told.items() if key[0] == "rotator_rotations_total"}
    assert rotations == {
        ("rotated", "Promoted"): 3,
        ("unchanged", "NotYet"): 5,
        ("later", "LockHeld"): 1,
        ("undelivered", "NotDelivered"): 1,
        ("failed", "Undone"): 2,
        ("person-needed", "UndoFailed"): 1,
        ("interrupted", ""): 1,
    }
    assert not [key for key in told if "bare" in key and key[0] != "rotator_retry_attempts"]


def test_what_is_not_configured_any_more_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "rotator.prom"
    metrics.write(path, FIGURES, {("prod", "bare")})
    assert not [key for key in samples(path) if "portal" in key]
    assert ("rotator_client_certificate_not_after_timestamp_seconds", "prod") in samples(path)
    metrics.write(path, FIGURES, {("other", "x")})
    assert not [key for key in samples(path) if "prod" in key]


def test_node_exporter_can_read_it_whatever_the_umask_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "rotator.prom"
    (tmp_path / "rotator.prom.new0123456789abcdef").touch()  # of a run that was killed
    before = os.umask(0o077)
    try:
        metrics.write(path, FIGURES, None)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in tmp_path.glob("rotator*")] == [path.name]


@pytest.mark.parametrize("name", ["rotator.prom", "[a]*.prom"])
def test_nothing_else_is_removed_from_the_folder(tmp_path: Path, name: str) -> None:
    path, others = tmp_path / "folder" / name, ("", "paper", ".12.34", "0123456789ABCDEF", "0123456789abcdef0")
    kept = {f"{path.name}.new{other}" for other in others} | {"ax.prom.new0123456789abcdef"}
    path.parent.mkdir()
    for left in kept:
        path.with_name(left).touch()
    metrics.write(path, FIGURES, None)
    assert {entry.name for entry in path.parent.iterdir()} == {*kept, path.name}


def test_in_another_accounts_folder_no_link_leads_the_writing_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, victim = tmp_path / "rotator.prom", tmp_path / "victim"
    victim.write_text("whole")
    victim.chmod(0o600)
    foreseen = (".new", f".new.{os.getpid()}.{threading.get_ident()}", f".{os.getpid()}.{threading.get_ident()}", "")
    for ending in foreseen:
        path.with_name(path.name + ending).symlink_to(victim)
    metrics.write(path, FIGURES, None)
    assert not path.is_symlink()
    monkeypatch.setattr("secrets.token_hex", lambda _: "guessed")
    path.with_name(f"{path.name}.newguessed").symlink_to(victim)
    with pytest.raises(MetricsFailed, match="cannot be written: File exists"):
        metrics.write(path, FIGURES, None)
    assert (victim.read_text(), victim.stat().st_mode & 0o777) == ("whole", 0o600)


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "none" / "rotator.prom"
    with pytest.raises(MetricsFailed, match="cannot be written: No such file or directory"):
        metrics.write(path, FIGURES, None)
    (tmp_path / "rotator.prom").mkdir()
    with pytest.raises(MetricsFailed):
        metrics.write(tmp_path / "rotator.prom", FIGURES, None)
    assert [entry.name for entry in tmp_path.glob("rotator*")] == ["rotator.prom"]


def names(expression: Any) -> set[str]:
    """The metrics that an expression asks for."""
    match type(expression).__name__:
        case "VectorSelector":
            return {expression.name}
        case "MatrixSelector":
            return {expression.vector_selector.name}
        case "BinaryExpr":
            return names(expression.lhs) | names(expression.rhs)
        case "Call":
            return {name for argument in expression.args for name in names(argument)}
        case "AggregateExpr" | "ParenExpr" | "UnaryExpr":
            return names(expression.expr)
        case "NumberLiteral" | "StringLiteral":
            return set()
        case other:
            raise AssertionError(f"an expression of a kind that is not looked into: {other}")


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_metric_of_the_alert_rules_is_one_that_rotator_writes(tmp_path: Path) -> None:
    path = tmp_path / "rotator.prom"
    metrics.write(path, FIGURES, None)
    written = {key[0] for key in samples(path)}
    wanted = {rule["alert"]: names(promql_parser.parse(rule["expr"])) for rule in rules()}
    assert {alert: asked - written for alert, asked in wanted.items() if asked - written} == {}
    assert all(wanted.values())
    assert len(wanted) == len(rules()) >= 10


def test_every_alert_says_what_to_do() -> None:
    said = (ROOT / "docs" / "metrics.md").read_text()
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert re.search(r"`rotator |QMC", rule["annotations"]["description"]), rule["alert"]
        assert rule["annotations"]["summary"]
        assert f"`{rule['alert']}`" in said
        for name in re.findall(r"\$labels\.(\w+)", str(rule["annotations"])):
            assert name in ("site", "name")


def test_every_metric_is_explained(tmp_path: Path) -> None:
    metrics.write(tmp_path / "rotator.prom", FIGURES, None)
    said = (ROOT / "docs" / "metrics.md").read_text()
    written = {key[0] for key in samples(tmp_path / "rotator.prom")}
    assert [name for name in written if f"`{name}" not in said] == []
