"""Results of health checks: what `postroom doctor` prints, and the words for each result."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """The result of one check: it holds, work goes on although it does not hold, or a promise is broken."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "FAULT"


_BY_WEIGHT = (Severity.FAULT, Severity.WARNING)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found: what must hold; where it does not, the rows at fault and what to do.

    `count` is None when the check was not finished, or when it is about no rows.
    """

    severity: Severity
    name: str
    count: int | None = 0
    rows: tuple[str, ...] = ()
    advice: str = ""


def ok(name: str) -> CheckResult:
    """Return that this holds."""
    return CheckResult(Severity.OK, name)


def warning(name: str, advice: str) -> CheckResult:
    """Return that this does not hold, but Postroom works without it: `doctor` exits with 4."""
    return CheckResult(Severity.WARNING, name, None, (), advice)


def fault(name: str, advice: str) -> CheckResult:
    """Return that this does not hold and work stands still or a promise is broken: `doctor` exits with 1."""
    return CheckResult(Severity.FAULT, name, None, (), advice)


def worst(results: Iterable[CheckResult]) -> Severity:
    """Return the gravest severity among these results."""
    found = {each.severity for each in results}
    return next((each for each in _BY_WEIGHT if each in found), Severity.OK)
