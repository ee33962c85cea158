"""`postroom clients`: the programs that may send."""

from typing import Annotated

import typer
from uuid_utils.compat import uuid7

from delivery.credentials import mint
from delivery.records import clients as records
from delivery.records.engine import transaction
from delivery.vocabulary import CredentialKind, Scope
from worker.commands import opened, settings

clients = typer.Typer(help="The programs that may send: create.", no_args_is_help=True)


@clients.callback()
def group() -> None:
    """Keep `create` a command of its own while it is the only one."""


@clients.command("create")
def create(
    name: Annotated[str, typer.Argument(help="What people call this client.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; give it several times.")],
) -> None:
    """Create a client and print its API key, this once: only a digest of it is kept."""
    asked = settings()
    client_id = uuid7()
    minted = mint(CredentialKind.API_KEY, asked.pepper)
    with opened(asked) as store, transaction(store) as db:
        records.put(db, client_id, name, scopes=scope)
        records.add_credentials(db, client_id, [minted])
    typer.echo(
        f"client   {client_id}\nAPI key  {minted.text.get_secret_value()}\nKeep the key now: it is not shown again."
    )
