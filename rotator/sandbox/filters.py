"""The filter language of QRS: `prefix eq 'a' and (description so 'b' or tags.name ne 'c')`."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final


Test = Callable[[Mapping[str, Any]], bool]
_TOKEN: Final = re.compile(
    r"\s*(?:(?P<open>\()|(?P<close>\))|(?P<text>'(?:[^'\\]|\\.)*')|(?P<word>[A-Za-z_@][\w.@-]*)|(?P<number>-?\d+(?:\.\d+)?))"
)
_OPERATORS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": lambda left, right: bool(left == right),
    "ne": lambda left, right: bool(left != right),
    "so": lambda left, right: str(right) in str(left),
    "sw": lambda left, right: str(left).startswith(str(right)),
    "ew": lambda left, right: str(left).endswith(str(right)),
    "gt": lambda left, right: bool(left > right),
    "ge": lambda left, right: bool(left >= right),
    "lt": lambda left, right: bool(left < right),
    "le": lambda left, right: bool(left <= right),
}


class BadFilter(ValueError):
    """A filter that cannot be parsed, or names an unknown property; QRS answers 400 with the text."""


def compiled(expression: str, *, case: bool, strict: bool) -> Test:
    """The test that a filter is. `case`: texts differ by case; `strict`: an unknown property is an error.

    Raises BadFilter, at once or when the test meets an entity.
    """
    parser = _Parser(expression, case=case, strict=strict)
    test = parser.disjunction()
    if parser.kind is not None:
        raise parser.bad()
    return test


class _Parser:
    def __init__(self, expression: str, *, case: bool, strict: bool) -> None:
        self._expression = expression
        self._case = case
        self._strict = strict
        self._tokens = self._split()
        self.kind: str | None = None
        self._value = ""
        self._next()

    def bad(self) -> BadFilter:
        return BadFilter(f"Cannot parse the expression: {self._expression}")

    def _split(self) -> Iterator[tuple[str, str]]:
        position = 0
        text = self._expression.rstrip()
        while position < len(text):
            match = _TOKEN.match(text, position)
            if match is None or match.lastgroup is None:
                raise self.bad()
            position = match.end()
            yield match.lastgroup, match[match.lastgroup]

    def _next(self) -> str:
        taken = self._value
        self.kind, self._value = next(self._tokens, (None, ""))
        return taken

    def _word(self, *words: str) -> bool:
        return self.kind == "word" and self._value.lower() in words

    def disjunction(self) -> Test:
        tests = [self._conjunction()]
        while self._word("or"):
            self._next()
            tests.append(self._conjunction())
        return lambda entity: any(test(entity) for test in tests)

    def _conjunction(self) -> Test:
        tests = [self._term()]
        while self._word("and"):
            self._next()
            tests.append(self._term())
        return lambda entity: all(test(entity) for test in tests)

    def _term(self) -> Test:
        if self.kind == "open":
            self._next()
            inner = self.disjunction()
            if self.kind != "close":
                raise self.bad()
            self._next()
            return inner
        if self.kind != "word":
            raise self.bad()
        path = self._next().split(".")
        if not self._word(*_OPERATORS):
            raise self.bad()
        operator = _OPERATORS[self._next().lower()]
        value = self._literal()

        def test(entity: Mapping[str, Any]) -> bool:
            return any(self._compare(operator, found, value) for found in self._values(entity, path))

        return test

    def _literal(self) -> str | float | bool:
        kind = self.kind
        if kind == "text":
            return re.sub(r"\\(.)", r"\1", self._next()[1:-1])
        if kind == "number":
            return float(self._next())
        if self._word("true", "false"):
            return self._next().lower() == "true"
        raise self.bad()

    def _compare(self, operator: Callable[[Any, Any], bool], left: Any, right: Any) -> bool:  # noqa: ANN401 - JSON
        if isinstance(left, bool) is not isinstance(right, bool) or isinstance(left, str) is not isinstance(right, str):
            return False
        if not isinstance(left, str | int | float):
            return False
        if isinstance(left, str) and not self._case:
            left, right = left.casefold(), str(right).casefold()
        return operator(left, right)

    def _values(self, value: Any, path: list[str]) -> Iterator[Any]:  # noqa: ANN401 - JSON
        """The values at a dotted path, in lists those of each item; property names in any case."""
        if isinstance(value, list):
            for item in value:
                yield from self._values(item, path)
        elif not path:
            yield value
        elif isinstance(value, Mapping):
            names = {name.lower(): name for name in value}
            if path[0].lower() in names:
                yield from self._values(value[names[path[0].lower()]], path[1:])
            elif self._strict:
                raise BadFilter(f"Cannot parse the expression: {self._expression}")
