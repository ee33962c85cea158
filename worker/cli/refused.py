"""`postroom refused`: list the direct sends that were not accepted."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from delivery.explain import ago
from delivery.records.database import transaction
from delivery.records.pipeline import refused_sends as records
from delivery.records.pipeline.refused_sends import RefusedView
from worker.cli.console import AsJson, opened, settings, show_json


def refused(
    *,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number to list.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the refused direct sends (Celery tasks messages.accept), newest first, with every error in them."""
    with opened(settings()) as database, transaction(database) as db:
        found = records.latest(db, limit)
    if as_json:
        show_json({"refused": [asdict(each) for each in found]})
    elif not found:
        typer.echo("No direct send was refused.")
    else:
        now = datetime.now(UTC)
        typer.echo("\n\n".join(_summary(each, now) for each in found))


def _summary(each: RefusedView, now: datetime) -> str:
    message = each.message_id or "a message without a readable message_uuid"
    head = f"{message}  {ago(each.refused_at, now)}, by {_sender(each)}"
    # A fault's field and sentence are our own words, so they hold no text that a client sent.
    return "\n".join([head, *(f"    {_place(fault)}: {fault['message']} ({fault['code']})" for fault in each.faults)])


def _sender(each: RefusedView) -> str:
    return f"client {each.client_id}" if each.client_id else "an unknown client"


def _place(fault: dict[str, str]) -> str:
    return fault["field"] or "the task as a whole"
