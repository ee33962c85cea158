"""Expressions of rules: CEL, checked when they are written, and evaluated many at once."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Protocol

from delivery.detection.facts import Facts, FactType, FactValue

SIZE_LIMIT = 4_000
DEPTH_LIMIT = 20
_NAME = re.compile(r"\b[a-z]+\.[a-z_0-9]+\b(?!\s*\()")
_TEXT = re.compile(r"""r?"(?:[^"\\]|\\.)*"|r?'(?:[^'\\]|\\.)*'""")
_PLACE = re.compile(r"<input>:(\d+):(\d+): (.*)")


class _Result(Protocol):
    def plain_value(self) -> object: ...


class _Program(Protocol):
    """What the library compiles an expression to."""

    def eval(self, *, data: Mapping[str, FactValue]) -> _Result: ...
    def return_type(self) -> object: ...


class _Environment(Protocol):
    """The names and types that expressions may use."""

    def compile(self, expression: str) -> _Program: ...


class InvalidExpression(ValueError):  # noqa: N818 - the fault of a rule's author, named as such
    """An expression that cannot be used; the text says what is wrong with it and where."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What an expression came to: whether it holds, or that it failed and therefore neither holds nor does not."""

    holds: bool
    failed: bool = False


class ExpressionSet:
    """Expressions over the same facts, compiled together. Any number of threads may evaluate them."""

    def __init__(self, expressions: Sequence[str], types: Mapping[str, FactType]) -> None:
        self.names = frozenset(name for each in expressions for name in names_in(each)) & set(types)
        self._single: list[_Program] = []
        self._all: _Program | None = None
        if expressions:
            environment = _environment(types)
            self._single = [_compile(environment, each) for each in expressions]
            self._all = environment.compile(f"[{', '.join(f'({each})' for each in expressions)}]")

    def evaluate(self, facts: Facts) -> list[Evaluated]:
        """Return the outcome of each expression, in their order. Those that ask for a missing fact fail."""
        if self._all is None:
            return []
        data = {name: facts[name] for name in self.names if name in facts}
        values = _value(self._all, data)
        if isinstance(values, list):
            return [Evaluated(holds=value is True) for value in values]
        return [_outcome(_value(each, data)) for each in self._single]


def check_expression(expression: str, types: Mapping[str, FactType]) -> None:
    """Raise `InvalidExpression`, with the place, unless this is a condition over facts of these types."""
    _compile(_environment(types), expression)


def names_in(expression: str) -> frozenset[str]:
    """Return what looks like names of facts in an expression, those in quoted texts left out."""
    return frozenset(_NAME.findall(_TEXT.sub("''", expression)))


def conjuncts(expression: str) -> list[str]:
    """Return the parts of an expression that an outer `&&` joins; the whole where there is an outer `||`."""
    masked = _TEXT.sub(lambda match: "'" * len(match[0]), expression)
    depth, start, parts = 0, 0, []
    for index, character in enumerate(masked):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0 and masked[index : index + 2] in {"||", "? "}:
            return [expression]
        if depth == 0 and masked[index : index + 2] == "&&":
            parts.append(expression[start:index].strip())
            start = index + 2
    return [*parts, expression[start:].strip()]


def _environment(types: Mapping[str, FactType]) -> _Environment:
    cel = _library()
    kinds = {FactType.INT: cel.Type.INT, FactType.BOOL: cel.Type.BOOL, FactType.STRING: cel.Type.STRING}
    return cel.NewEnv(variables={name: kinds[type_] for name, type_ in types.items()})  # type: ignore[no-any-return] # untyped library


def _library() -> ModuleType:
    # Imported on first use: a process that judges nothing need not load its 9 MB.
    from cel_expr_python import cel  # type: ignore[import-untyped] # noqa: PLC0415

    return cel  # type: ignore[no-any-return] # untyped library


def _compile(environment: _Environment, expression: str) -> _Program:
    _check_bounds(expression)
    try:
        program = environment.compile(expression)
    except RuntimeError as error:
        raise InvalidExpression(_sentence(str(error))) from error
    if str(program.return_type()) != "BOOL":
        raise InvalidExpression("it must be a condition, true or false, such as text.links > 0")
    return program


def _check_bounds(expression: str) -> None:
    if not expression.strip():
        raise InvalidExpression("it is empty")
    if len(expression) > SIZE_LIMIT:
        raise InvalidExpression(f"it has {len(expression)} characters; at most {SIZE_LIMIT} are allowed")
    depth = deepest = 0
    for character in _TEXT.sub("", expression):
        depth += (character in "([{") - (character in ")]}")
        deepest = max(deepest, depth)
    if deepest > DEPTH_LIMIT:
        raise InvalidExpression(f"its parentheses are {deepest} deep; at most {DEPTH_LIMIT} are allowed")


def _sentence(error: str) -> str:
    """Return the library's words as a sentence with the place: line and column, both from 1."""
    faults = _PLACE.findall(error)
    if not faults:
        return "it cannot be read"
    line, column, words = faults[0]
    unknown = re.search(r"undeclared reference to '([^']+)'", words)
    told = f"there is no fact or list {unknown[1]}" if unknown else words.removesuffix(" [INVALID_ARGUMENT]")
    return f"line {line}, column {column}: {told}"


def _value(program: _Program, data: Mapping[str, FactValue]) -> object:
    """Return the value, None where the evaluation failed."""
    try:
        result = program.eval(data=data)
        return result.plain_value()
    except RuntimeError:
        return None


def _outcome(value: object) -> Evaluated:
    return Evaluated(holds=value is True, failed=not isinstance(value, bool))


def join(parts: Iterable[str]) -> str:
    """Return one expression that holds where all of these do; `true` for none."""
    return " && ".join(f"({part})" for part in parts) or "true"
