"""`postroom doctor`: check that everything holds that Postroom promises, for people, cron and programs."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from delivery.records.views.invariants import CheckScope
from tasks.check_results import CheckResult, Severity, worst
from tasks.health_checks import check
from worker.cli.console import AsJson, opened, settings, show_json

# A command that cannot reach the database exits with 3, so a degraded system has the next number.
_EXIT_CODES = {Severity.OK: 0, Severity.WARNING: 4, Severity.FAULT: 1}


def doctor(
    *,
    everything: Annotated[bool, typer.Option("--all", help="Check all rows, not only open and recent ones.")] = False,
    patience_min: Annotated[
        float, typer.Option("--late", min=0, help="Minutes after which late work counts as stuck.")
    ] = 10,
    timeout_s: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds that one query may take.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Check every invariant on the live system, read-only.

    Exit with 0 when all hold, 1 when a promise is broken or work stands still, 4 when Postroom works but is degraded,
    3 when the database does not answer.
    """
    scope = CheckScope(is_everything=everything, patience=timedelta(minutes=patience_min))
    config = settings()
    with opened(config) as database:
        results = check(config, database, scope, timeout=timedelta(seconds=timeout_s))
    verdict = worst(results)
    if as_json:
        found = {"is_well": verdict is not Severity.FAULT, "is_degraded": verdict is Severity.WARNING}
        show_json({**found, "checks": list(map(_as_json, results))})
    else:
        typer.echo("\n".join(map(_describe, results)))
    raise typer.Exit(_EXIT_CODES[verdict])


def _as_json(result: CheckResult) -> dict[str, object]:
    fields = asdict(result)
    return {"mark": fields.pop("severity"), **fields}  # Monitoring scripts read the severity as `mark`.


def _describe(result: CheckResult) -> str:
    """Return one line, and below it what to do when the check does not hold."""
    head = f"{result.severity:<7}  {result.name}"
    if result.severity is Severity.OK:
        return head
    rows = (
        f": {result.count} at fault: {', '.join(result.rows)}{', ...' if _is_cut(result) else ''}"
        if result.rows
        else ""
    )
    return f"{head}{rows}\n         {result.advice}"


def _is_cut(result: CheckResult) -> bool:
    return result.count is not None and result.count > len(result.rows)
