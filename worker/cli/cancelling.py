"""Cancel the backlog of a revoked client, while workers run: what they are trying is cancelled unless it arrives."""

from threading import Event
from time import monotonic
from uuid import UUID

import typer

from delivery.explain import count
from delivery.records.database import Database, transaction
from delivery.records.pipeline.cancellations import AT_ONCE, cancel, count_open

_DETAIL = "An operator revoked the client."
_LEAST_S = 2.0
"""Requests that began before the revocation are stored within this time: a credential is believed for a second."""

_LONGEST_S = 30.0
_PAUSE_S = 0.2


def ask(database: Database, client_id: UUID) -> None:
    """Ask on the terminal whether the backlog of a client may be cancelled. Exits when it may not."""
    with transaction(database) as db:
        waiting = count_open(db, client_id)
    typer.confirm(f"postroom: cancel {count(waiting, 'waiting recipient')} of client {client_id} for good?", abort=True)


def cancel_waiting(database: Database, client_id: UUID, *, longest_s: float = _LONGEST_S) -> None:
    """Cancel what waits until nothing is left, and report it. Safe to repeat, also after it was interrupted."""
    cancelled, began_at = 0, monotonic()
    while True:
        with transaction(database) as db:
            found, done = cancel(db, client_id, detail=_DETAIL)
            left = 0 if found else count_open(db, client_id)
        cancelled += done
        passed_s = monotonic() - began_at
        if not found and (passed_s > longest_s or (not left and passed_s > _LEAST_S)):
            break
        if found < AT_ONCE:
            Event().wait(_PAUSE_S)
    typer.echo(f"postroom: cancelled {count(cancelled, 'waiting recipient')} of client {client_id}")
    if left:
        typer.echo(
            f"postroom: {count(left, 'recipient')} are being tried. Run this again when that has ended.", err=True
        )
        raise typer.Exit(1)
