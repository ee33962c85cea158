"""`postroom doctor`: check that everything holds that Postroom promises, for people, cron and programs."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from delivery.records.views.invariants import CheckScope
from tasks.health_checks import CheckResult, Severity, check
from worker.cli.console import AsJson, opened, settings, show_json

_VIOLATED = 1


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

    Exit with 0 when all hold, 1 when one does not, 3 when the database does not answer.
    """
    scope = CheckScope(is_everything=everything, patience=timedelta(minutes=patience_min))
    config = settings()
    with opened(config) as database:
        results = check(config, database, scope, timeout=timedelta(seconds=timeout_s))
    is_well = all(each.severity is not Severity.FAULT for each in results)
    if as_json:
        show_json({"is_well": is_well, "checks": list(map(_as_json, results))})
    else:
        typer.echo("\n".join(map(_describe, results)))
    if not is_well:
        raise typer.Exit(_VIOLATED)


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
