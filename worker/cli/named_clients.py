"""Find the client that an operator names by its id or name."""

from typing import Annotated
from uuid import UUID

import typer

from delivery.records.database import Database, transaction
from delivery.records.identities import clients
from worker.cli.console import check_encoding, missing

ClientName = Annotated[str, typer.Argument(metavar="CLIENT", help="Id or name of a client.", callback=check_encoding)]


def identify_client(database: Database, text: str) -> UUID:
    """Return the client of this id or name. Exits with a sentence when there is none, or several have the name."""
    with transaction(database) as db:
        found = clients.identify(db, text.strip())
    if not found:
        raise missing("there is no client with this id or name. `postroom clients list` shows them.")
    if len(found) > 1:
        raise missing(f"{len(found)} clients have this name. Give the id: {', '.join(map(str, found))}")
    return found[0]
