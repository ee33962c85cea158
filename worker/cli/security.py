"""`postroom security-log`: read the events of credentials, changed addresses and staff's decisions."""

import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from delivery.records.database import transaction
from delivery.records.identities.security_events import EventFilter, EventView, latest
from delivery.vocabulary import SecurityEventKind
from worker.cli.console import AsJson, check_encoding, opened, printable, settings, show_json
from worker.cli.named_clients import identify_client

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_DURATION = re.compile(r"([0-9]{1,6})([mhd])", re.ASCII)


def _read_instant(text: str | None) -> datetime | None:
    """Read `24h`, `7d`, `30m` as so long ago, and everything else as ISO 8601, in UTC unless it names another zone."""
    if text is None:
        return None
    found = _DURATION.fullmatch(text.strip())
    try:
        if found:
            return datetime.now(UTC) - timedelta(**{_UNITS[found[2]]: int(found[1])})
        instant = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            "Give how long ago, such as 24h or 7d, or an instant, such as 2026-11-29T06:00."
        ) from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


def security_log(  # noqa: PLR0913 - an option for each way to filter
    *,
    client: Annotated[
        str | None, typer.Option(help="Only events of this client: its id or name.", callback=check_encoding)
    ] = None,
    kind: Annotated[SecurityEventKind | None, typer.Option(help="Only events of this kind.")] = None,
    since: Annotated[str | None, typer.Option(help="Only later events: 24h, 7d or 2026-11-29T06:00.")] = None,
    before: Annotated[str | None, typer.Option(help="Only earlier events, written alike.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number to list.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List security events, newest first: credentials made, first used and revoked, changed addresses, decisions.

    Refused credentials and limits are lines of the logger postroom.security in the logs of the API.
    """
    span_of_time = _read_instant(since), _read_instant(before)
    with opened(settings()) as database:
        client_id = None if client is None else identify_client(database, client)
        with transaction(database) as db:
            found = latest(db, EventFilter(client_id, kind, *span_of_time), limit)
    if as_json:
        show_json({"events": [asdict(each) for each in found]})
    elif not found:
        typer.echo("There is no such event.")
    else:
        typer.echo("\n".join(map(_describe, found)))


def _describe(event: EventView) -> str:
    about = [f"client {event.client_id}"] if event.client_id else []
    about += [event.subject] if event.subject else []
    about += [f"{name} {value}" for name, value in event.details.items()]
    head = f"{event.happened_at:%Y-%m-%d %H:%M:%S} UTC  {event.kind}  by {event.actor}"
    return printable(f"{head}\n    {', '.join(about)}")
