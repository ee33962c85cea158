"""`postroom why`, `release` and `worker-alive`: inspect messages and workers."""

import os
import signal
import socket
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from delivery import attempt_journal
from delivery.explain import ago, count, explain_message, explain_recipients, paragraph, span
from delivery.records.database import transaction
from delivery.records.views import messages
from delivery.records.views.messages import MessageView
from delivery.records.workers import registry
from delivery.records.workers.registry import SilentWorker
from delivery.rules.status import reduce_status
from tasks.broker.doorbell import SilentDoorbell
from tasks.context import StepContext
from tasks.lanes import LANES, LaneName
from tasks.steps.release import release
from worker.cli.console import AsJson, missing, opened, printable, read_id, settings, show_json

_SEEN_WITHIN = timedelta(seconds=15)
_FROZEN_AFTER = timedelta(seconds=30)


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


def alive(
    lane: Annotated[LaneName, typer.Argument(help="Lane of the worker.")],
    *,
    end_frozen: Annotated[
        bool, typer.Option("--end-frozen", help="Kill a worker of this lane here that froze, so that it is restarted.")
    ] = False,
) -> None:
    """Exit with 0 if a worker of this lane on this host was seen within 15 s."""
    config, queues = settings(), tuple(LANES[lane].queues)
    with opened(config) as database, transaction(database) as db:
        workers = registry.workers(db, within=_SEEN_WITHIN)
        silent = registry.silent_workers(db, socket.gethostname(), after=_FROZEN_AFTER)
    here = [each for each in workers if each.host == socket.gethostname() and each.queues == queues]
    if end_frozen:
        folder = attempt_journal.journal_folder(config.journal_folder)
        for each in silent:
            if each.queues == queues:
                _end_frozen(each, folder)
    if not here:
        raise missing(f"no {lane} worker of this host has been seen for {span(_SEEN_WITHIN)}.")
    typer.echo(f"postroom: the {lane} worker {here[-1].pid} is alive")


def _end_frozen(worker: SilentWorker, folder: Path) -> None:
    """Kill this worker if its process runs: it keeps its liveness file locked. Its id alone could be of another one."""
    if attempt_journal.is_alive(folder, worker.worker_id):
        with suppress(ProcessLookupError, PermissionError):
            os.kill(worker.pid, signal.SIGKILL)
            typer.echo(f"postroom: the worker {worker.pid} was frozen and is killed")


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
