"""`postroom clients test`: let a client send to simulated recipients, or end that."""

from typing import Annotated

import typer

from delivery.logs.security import write_line
from delivery.records.database import transaction
from delivery.records.identities import simulated_accounts
from delivery.rules.simulated_recipients import SIMULATED
from worker.cli.console import opened, operator, settings
from worker.cli.named_clients import ClientName, identify_client


def mark_test_client(
    client: ClientName, *, stop: Annotated[bool, typer.Option("--stop", help="End it.")] = False
) -> None:
    """Let a client send to simulated recipients, each of which ends in one state. Other clients cannot."""
    with opened(settings()) as database:
        client_id = identify_client(database, client)
        with transaction(database) as db:
            simulated_accounts.mark(db, client_id, is_test=not stop)
    write_line("client_marked_test", client_id=str(client_id), is_test=not stop, actor=operator())
    if stop:
        typer.echo(f"postroom: client {client_id} cannot send to simulated recipients any more")
    else:
        typer.echo("\n".join(f"{account_id}  {each.name}" for account_id, each in SIMULATED.items()))
