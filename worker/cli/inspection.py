"""`postroom why`, `queues`, `release` and `worker-alive`: inspect messages, queues and workers."""

import socket
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer

from delivery.explain import ago, channel_name, count, explain_message, explain_recipients, paragraph, span
from delivery.records.database import transaction
from delivery.records.views import messages, open_counts
from delivery.records.views.messages import MessageView
from delivery.records.views.open_counts import OpenRows
from delivery.records.workers import deaths, registry
from delivery.records.workers.registry import WorkerView
from delivery.rules.status import reduce_status
from tasks.broker.doorbell import SilentDoorbell
from tasks.broker.queue_depth import QueueView, read_queues
from tasks.context import StepContext
from tasks.lanes import LANES, LaneName
from tasks.steps.release import release
from worker.cli.console import AsJson, missing, opened, printable, read_id, settings, show_json, show_table

_SEEN_WITHIN = timedelta(seconds=15)
_PARKED_SHOWN = 20


def why(message: Annotated[str, typer.Argument(help="Id of a message.")], *, as_json: AsJson = False) -> None:
    """Explain where each recipient of a message is, why, and what happens next and when."""
    message_id = read_id(message, "message")
    with opened(settings()) as database, transaction(database) as db:
        view = messages.message(db, message_id)
    if view is None:
        raise missing(f"there is no message {message_id}. The id is the message_uuid in the response to its POST.")
    now = datetime.now(UTC)
    if as_json:
        show_json(_why_as_json(view, now))
        return
    typer.echo(f"Message {view.message_id}, accepted {ago(view.created_at, now)}. {explain_message(view)}")
    if view.vetting_id:
        typer.echo(f"Its review: postroom vetting show {view.vetting_id}")
    for explanation in explain_recipients(view, now):
        typer.echo(f"\n{printable(paragraph(explanation, now))}")


def queues(*, as_json: AsJson = False) -> None:
    """Show what waits in the broker and in the database, what is parked, and which workers are alive."""
    config = settings()
    waiting = read_queues(config)
    with opened(config) as database, transaction(database) as db:
        rows = open_counts.open_rows(db)
        parked = deaths.parked(db, _PARKED_SHOWN)
        workers = registry.workers(db, within=_SEEN_WITHIN)
    now = datetime.now(UTC)
    if as_json:
        bells: dict[str, object] = {"queues": None if waiting is None else [asdict(each) for each in waiting]}
        found = {"open": [asdict(each) for each in rows], "workers": [asdict(each) for each in workers]}
        show_json({**bells, **found, "set_aside": parked})
        return
    _show_queues(waiting, now)
    _show_open_rows(rows, now)
    _show_parked(parked)
    _show_workers(workers, now)


def release_message(message: Annotated[str, typer.Argument(help="Id of a message.")]) -> None:
    """Resume the parked recipients of a message at once.

    First remove the cause for which they were parked: `postroom why` shows it.
    """
    message_id = read_id(message, "message")
    config = settings()
    with opened(config) as database:
        released = release(StepContext(config, database, SilentDoorbell()), message_id)
    if not released:
        raise missing(
            f"no recipient of a message {message_id} is parked. `postroom queues` lists the messages that are."
        )
    typer.echo(f"postroom: {count(released, 'recipient')} of {message_id} will be tried again now")


def alive(lane: Annotated[LaneName, typer.Argument(help="Lane of the worker.")]) -> None:
    """Exit with 0 if a worker of this lane on this host was seen within 15 s."""
    with opened(settings()) as database, transaction(database) as db:
        workers = registry.workers(db, within=_SEEN_WITHIN)
    here = [each for each in workers if each.host == socket.gethostname() and each.queues == tuple(LANES[lane].queues)]
    if not here:
        raise missing(f"no {lane} worker of this host has been seen for {span(_SEEN_WITHIN)}.")
    typer.echo(f"postroom: the {lane} worker {here[-1].pid} is alive")


def _why_as_json(view: MessageView, now: datetime) -> dict[str, object]:
    verdict = reduce_status([each.recipient_status for each in view.recipients])
    return {
        "message_uuid": view.message_id,
        "status": verdict.status,
        "status_reason": verdict.reason,
        "status_message": explain_message(view),
        "message_vetting_id": view.vetting_id,
        "time_created": view.created_at,
        "recipients": [
            {
                "uuid": each.recipient.account_id,
                "state": each.recipient.state,
                "reason": each.recipient.reason,
                "channel": each.recipient.channel,
                "attempts": each.recipient.attempt,
                "time": each.recipient.changed_at,
                "due_at": each.recipient.due_at,
                "possibly_duplicated": each.recipient.possibly_duplicated,
                "why": each.why,
                "next": each.next,
            }
            for each in explain_recipients(view, now)
        ],
    }


def _show_queues(waiting: list[QueueView] | None, now: datetime) -> None:
    if waiting is None:
        typer.echo("Broker: it does not answer. The workers deliver without it, only later.\n")
        return
    rows = [(each.name, str(each.depth), ago(each.oldest_at, now)) for each in waiting]
    show_table("Bells at the broker", ("queue", "depth", "oldest rung"), rows)


def _show_open_rows(rows: list[OpenRows], now: datetime) -> None:
    if not rows:
        typer.echo("Open recipients in the database: none.\n")
        return
    shown = [
        (
            each.state,
            channel_name(each.channel),
            str(each.recipients),
            ago(each.oldest_at, now),
            str(each.overdue),
            f"in {span(each.next_due_at - now)}" if each.next_due_at > now else "now",
            str(each.parked or "-"),
        )
        for each in rows
    ]
    columns = ("state", "channel", "recipients", "oldest since", "due now", "next due", "parked")
    show_table("Open recipients in the database", columns, shown)


def _show_parked(message_ids: list[UUID]) -> None:
    if not message_ids:
        return
    typer.echo("Parked until an operator releases them (postroom why MESSAGE, then postroom release MESSAGE):")
    typer.echo("\n".join(f"  {each}" for each in message_ids) + "\n")


def _show_workers(workers: list[WorkerView], now: datetime) -> None:
    if not workers:
        typer.echo(
            "Workers: none was seen in the last 15 s. Nothing is delivered until one starts: postroom worker decide\n"
        )
        return
    rows = [
        (each.host, str(each.pid), ", ".join(each.queues), ago(each.started_at, now), ago(each.seen_at, now))
        for each in workers
    ]
    show_table("Workers", ("host", "process", "queues", "started", "seen"), rows)
