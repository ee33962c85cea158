"""`postroom queues`: what waits, since when, what is parked, and which lanes have a worker. It fits in 80 columns."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import typer

from delivery.explain import ago, channel_name, span
from delivery.records.database import transaction
from delivery.records.views import open_counts
from delivery.records.views.open_counts import OpenRows
from delivery.records.workers import deaths, registry
from delivery.records.workers.registry import LastWorker, WorkerView
from delivery.rules.relay_trouble import relay_advice
from tasks.broker.blocked_queues import ADVICE, find_blocked_queues
from tasks.broker.queue_depth import QueueView, read_queues
from tasks.broker.unread_lists import UnreadList, find_unread_lists
from tasks.lanes import LANES, LaneName
from worker.cli.console import AsJson, opened, printable, settings, show_json, show_table

_SEEN_WITHIN = timedelta(seconds=15)
_PARKED_SHOWN = 20
_WITHOUT = {
    LaneName.DECIDE: "New messages and direct sends wait",
    LaneName.SMTP: "Mails wait",
}


@dataclass(frozen=True, slots=True)
class DeadLane:
    """A lane without a living worker, and when its last one was seen (None: not within a day, or it was stopped)."""

    lane: LaneName
    last_seen_at: datetime | None


def queues(*, as_json: AsJson = False) -> None:
    """Show what waits in the broker and in the database, what is parked, and which lanes have a worker."""
    config = settings()
    waiting, unread = read_queues(config), find_unread_lists(config)
    blocked = find_blocked_queues(config)
    with opened(config) as database, transaction(database) as db:
        rows = open_counts.open_rows(db)
        parked = deaths.parked(db, _PARKED_SHOWN)
        workers = registry.workers(db, within=_SEEN_WITHIN)
        dead = list(_dead_lanes(workers, registry.last_workers(db)))
    now = datetime.now(UTC)
    if as_json:
        bells: dict[str, object] = {"queues": None if waiting is None else [asdict(each) for each in waiting]}
        found = {"open": [asdict(each) for each in rows], "workers": [asdict(each) for each in workers]}
        found["unread_lists"] = [asdict(each) for each in unread]
        show_json(
            {
                **bells,
                **found,
                "blocked_queues": blocked,
                "dead_lanes": [asdict(each) for each in dead],
                "set_aside": parked,
            }
        )
        return
    _show_queues(waiting, now)
    for each in blocked:
        typer.echo(f"{each} is no list. {ADVICE}\n")
    _show_unread(unread)
    _show_open_rows(rows, now)
    _show_parked(parked)
    _show_workers(workers, now)
    _show_dead_lanes(dead, now)
    _show_relay_troubles(workers, now)


def _show_relay_troubles(workers: Sequence[WorkerView], now: datetime) -> None:
    for each in workers:
        if each.relay_trouble is not None:
            typer.echo(f"Relay: it has taken no mail of worker {each.pid} for {span(now - each.relay_trouble.since)}.")
            typer.echo(
                f"  It says: {printable(each.relay_trouble.words)}\n  {relay_advice(each.relay_trouble.words)}\n"
            )


def _dead_lanes(workers: Sequence[WorkerView], last: Sequence[LastWorker]) -> Iterator[DeadLane]:
    alive = {_lane_of(each.queues) for each in workers}
    for lane in LANES:
        if lane not in alive:
            yield DeadLane(lane, max((each.seen_at for each in last if _lane_of(each.queues) is lane), default=None))


def _lane_of(queues: Sequence[str]) -> LaneName | None:
    """Return the lane whose queues a worker serves; None for a worker of another version with other lanes."""
    return next((name for name, lane in LANES.items() if set(lane.queues) <= set(queues)), None)


def _show_queues(waiting: list[QueueView] | None, now: datetime) -> None:
    if waiting is None:
        typer.echo("Broker: it does not answer. The workers deliver without it, only later.\n")
        return
    rows = [(each.name, str(each.depth), ago(each.oldest_at, now)) for each in waiting]
    show_table("Bells at the broker", ("queue", "depth", "oldest rung"), rows)


def _show_unread(lists: list[UnreadList]) -> None:
    if not lists:
        return
    typer.echo("Direct sends in lists that no worker reads (postroom doctor says what to do):")
    typer.echo("\n".join(f"  {printable(repr(each.name))}: {each.depth}" for each in lists) + "\n")


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
    columns = ("state", "channel", "count", "oldest accepted", "due", "next due", "parked")
    show_table("Open recipients in the database", columns, shown)


def _show_parked(message_ids: list[UUID]) -> None:
    if not message_ids:
        return
    typer.echo("Parked until an operator releases them:\n(postroom why MESSAGE, then postroom release MESSAGE)")
    typer.echo("\n".join(f"  {each}" for each in message_ids) + "\n")


def _show_workers(workers: list[WorkerView], now: datetime) -> None:
    if not workers:
        return
    rows = [
        (_lane_of(each.queues) or "other", str(each.pid), span(now - each.started_at), printable(each.host))
        for each in workers
    ]
    show_table("Workers", ("lane", "process", "runs for", "host"), rows)


def _show_dead_lanes(dead: list[DeadLane], now: datetime) -> None:
    for each in dead:
        last = f"was last seen {ago(each.last_seen_at, now)}" if each.last_seen_at else "has not been seen for a day"
        typer.echo(f"No worker of the lane {each.lane}: one {last}.")
        typer.echo(f"  {_WITHOUT[each.lane]}. Start one: postroom worker {each.lane}")
