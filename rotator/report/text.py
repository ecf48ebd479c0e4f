"""Results as lines and tables for a person."""

from collections.abc import Iterable, Sequence

from rotator.errors import ConfigError, RotatorError
from rotator.model import CheckResult, Json, Result


MARKS = {
    CheckResult.PASSED: "ok",
    CheckResult.FAILED: "FAILED",
    CheckResult.UNVERIFIED: "unverified",
    CheckResult.INCONCLUSIVE: "inconclusive",
}


def printable(text: str) -> str:
    r"""A text that a terminal only shows: whatever else it would obey is told by its code, as `\x1b`."""
    return "".join(item if item.isprintable() else item.encode("unicode_escape").decode("ascii") for item in text)


def line(result: Result) -> str:
    """One line of what a command came to."""
    said = f": {result.message}" if result.message else ""
    return printable(f"{result.name}: {result.outcome.value}{said}")


def checks(result: Result) -> str:
    """The checks of a result as a table; empty where there were none."""
    rows = [[check.host, check.name, MARKS[check.result], check.detail] for check in result.checks]
    return table(["proxy", "check", "result", "detail"], rows) if rows else ""


def with_checks(result: Result) -> str:
    """The line of a result, and its checks beneath it."""
    return "\n".join(filter(None, (line(result), checks(result))))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their widest cell, no colour."""
    lines = [[printable(str(cell)) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[index]) for row in lines) for index in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in lines
    )


def plan(result: Result) -> str:
    """The rows of a plan: `field: from -> to`."""
    rows = result.extra.get("plan")
    return "\n".join(
        printable(f"  {row['field']}: {_value(row['from'])} -> {_value(row['to'])}")
        for row in (rows if isinstance(rows, list) else [])
        if isinstance(row, dict)
    )


def _value(value: Json) -> str:
    if value is None:
        return "-"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    if isinstance(value, dict):
        named = value.get("hostName") or value.get("id")
        if named:
            return str(named)
        return "{" + ", ".join(f"{key}: {_value(item)}" for key, item in value.items()) + "}"
    return repr(value) if isinstance(value, str) else str(value)


def problems(error: RotatorError) -> list[str]:
    """An error as the lines that go to standard error."""
    if isinstance(error, ConfigError) and error.problems:
        lines = [f"rotator: error: {problem}" for problem in error.problems]
    else:
        lines = [f"rotator: error: {error.message}"]
    return [printable(item) for item in (*lines, *([f"rotator: hint: {error.hint}"] if error.hint else []))]
