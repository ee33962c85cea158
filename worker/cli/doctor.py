"""`postroom doctor`: does everything hold that Postroom promises? For people, for cron and for programs."""

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
    everything: Annotated[bool, typer.Option("--all", help="Look at all rows, not the open and recent ones.")] = False,
    patience_min: Annotated[float, typer.Option("--late", min=0, help="Minutes after which late work is stuck.")] = 10,
    timeout_s: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds that one question may take.")] = 30,
    as_json: AsJson = False,
) -> None:
    """Check every invariant on the live system, read-only. Ends with 0 when all hold, 1 when one does not, 3 when the
    database cannot be asked."""  # noqa: D205, D209 - typer shows it as one paragraph
    scope = CheckScope(is_everything=everything, patience=timedelta(minutes=patience_min))
    asked = settings()
    with opened(asked) as database:
        results = check(asked, database, scope, timeout=timedelta(seconds=timeout_s))
    is_well = all(each.severity is not Severity.FAULT for each in results)
    if as_json:
        show_json({"is_well": is_well, "checks": list(map(_as_json, results))})
    else:
        typer.echo("\n".join(map(_tell, results)))
    if not is_well:
        raise typer.Exit(_VIOLATED)


def _as_json(result: CheckResult) -> dict[str, object]:
    fields = asdict(result)
    return {"mark": fields.pop("severity"), **fields}  # What monitoring scripts read is called `mark`.


def _tell(result: CheckResult) -> str:
    """Write one line, and what to do below it where something does not hold."""
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
