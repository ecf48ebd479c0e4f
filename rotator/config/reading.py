"""One table of the file against its keys, every mistake collected with its place."""

import ast
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rotator.config.location import denied
from rotator.config.tables import REQUIRED, Key
from rotator.config.values import BARE, Wrong, kind
from rotator.errors import ConfigError


@dataclass
class Reading:
    """A file being read: where it is, its text, and the mistakes found so far."""

    source: Path
    text: str
    problems: list[str] = field(default_factory=list)

    @property
    def base(self) -> Path:
        """The folder that relative paths are relative to."""
        return self.source.parent

    def wrong(self, path: Sequence[str], said: str) -> None:
        """Note a mistake at a key path; `said` goes on from it, as `must be …`."""
        line = line_of(self.text, path)
        place = f"{self.source}:{line}" if line else str(self.source)
        self.problems.append(f"{place}: {_dotted(path)} {said}")

    def table(self, parent: Mapping[str, Any], path: Sequence[str], *, required: bool = True) -> dict[str, Any] | None:
        """The table at the end of `path`, None where it is not there or is something else."""
        value = parent.get(path[-1])
        if value is None:
            if required:
                self.wrong(path, "is missing")
            return None
        if not isinstance(value, dict):
            self.wrong(path, f"must be a table, as [{_dotted(path)}], not {kind(value)}")
            return None
        return value

    def read(
        self, given: Mapping[str, Any], keys: Mapping[str, Key], path: Sequence[str], *tables: str
    ) -> dict[str, Any]:
        """The values of a table's keys, defaults where they are absent; `tables` are names that stand for sub-tables.

        A key that is wrong or missing is noted and absent from the result.
        """
        for name in given:
            if name not in keys and name not in tables:
                close = get_close_matches(name, [*(key for key in keys if not keys[key].later), *tables], n=1)
                known = ", ".join([*(key for key in keys if not keys[key].later), *tables])
                self.wrong(
                    (*path, name),
                    f"is not known; did you mean {close[0]}?" if close else f"is not known; there is: {known}",
                )
        found: dict[str, Any] = {}
        for name, key in keys.items():
            if name in given:
                try:
                    found[name] = key.parse(given[name], self.base)
                except Wrong as wrong:
                    self.wrong((*path, name), str(wrong))
            elif key.default is REQUIRED:
                self.wrong((*path, name), "is missing")
            else:
                found[name] = key.default
        return found


def parse(source: Path) -> tuple[Reading, dict[str, Any]]:
    """The file's text and its TOML. Raises ConfigError for a file that cannot be read or is not TOML."""
    return parse_text(source, contents(source))


def contents(source: Path) -> str:
    """The text of the file. Raises ConfigError for one that cannot be read."""
    try:
        return source.read_bytes().decode("utf-8")
    except IsADirectoryError:
        raise ConfigError(f"{source} is a folder", hint=f"name the file: --config {source / 'rotator.toml'}") from None
    except PermissionError as error:
        raise denied(source, error) from None
    except OSError as error:
        raise ConfigError(
            f"{source} cannot be read: {error.strerror}", hint="see that it is there and readable by this user"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source} is not UTF-8 at byte {error.start}", hint="save it as UTF-8") from None


def parse_text(source: Path, text: str) -> tuple[Reading, dict[str, Any]]:
    """The same for a text that is to be the file at `source`. Raises ConfigError."""
    try:
        return Reading(source, text), tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _not_toml(source, str(error)) from None
    except RecursionError:
        raise ConfigError(f"{source}: not TOML: nested too deeply") from None


def _not_toml(source: Path, said: str) -> ConfigError:
    """What the parser says, its place as every mistake has it, and a table by the name that people write."""
    where = re.search(r" \(at line (\d+), column (\d+)\)$", said)
    if where:
        said = f"{said[: where.start()]}, at column {where[2]}"
    twice = re.match(r"Cannot (?:declare|overwrite|mutate)", said)
    if twice:  # the names of a table, as Python writes a tuple
        said = re.sub(r"\((?=['\"]).*\)", lambda names: f"[{_dotted(ast.literal_eval(names[0]))}]", said)
    return ConfigError(
        f"{source}:{where[1]}: not TOML: {said}" if where else f"{source}: not TOML: {said}",
        hint="a table and a key stand once each: put what belongs to a table together under one heading"
        if twice
        else "text values stand in quotes; backslashes in single quotes: 'CORP\\alice'",
    )


def place(source: Path, path: Sequence[str]) -> str:
    """`FILE, line N`: where a key path is set, for whoever is to change it; the file alone where it is not."""
    try:
        line = line_of(source.read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError):
        line = None
    return f"{source}, line {line}" if line else str(source)


def line_of(text: str, path: Sequence[str]) -> int | None:
    """The line, from 1, on which a key path is set; where it is not, the line of the longest part that is."""
    best, depth = None, 0
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("["):
            table = _names(stripped.strip("[]").split("#")[0].rstrip("] "))
            here = table
        else:
            key, equals, _ = stripped.partition("=")
            if not equals or stripped.startswith("#"):
                continue
            here = (*table, *_names(key))
        shared = len(here) if tuple(path[: len(here)]) == here else 0
        if shared > depth:
            best, depth = number, shared
    return best


def _names(dotted: str) -> tuple[str, ...]:
    """The parts of a dotted TOML key, quotes taken off."""
    return tuple(part.strip("\"' ") for part in re.findall(r'"[^"]*"|\'[^\']*\'|[^.\s]+', dotted))


def _dotted(path: Sequence[str]) -> str:
    return ".".join(part if BARE.fullmatch(part) else f'"{part}"' for part in path)
