"""`postroom clients trust-issuer`: let one client be reached by tokens of the trusted issuer, or end that."""

from typing import Annotated
from uuid import UUID

import typer

from delivery.explain import count
from delivery.records.database import Database, transaction
from delivery.records.identities.issuer_links import ISSUER_ID_LIMIT, LinkedElsewhere, is_issuer_id, link, unlink
from delivery.records.identities.security_events import SecurityEvent, record
from delivery.vocabulary import SecurityEventKind
from worker.cli.console import check_encoding, missing, opened, operator, printable, settings
from worker.cli.named_clients import ClientName, identify_client


def _check_issuer_id(text: str | None) -> str | None:
    if text is not None:
        check_encoding(text)
    if text is not None and not is_issuer_id(text):
        raise typer.BadParameter(f"An id at the issuer has 1 to {ISSUER_ID_LIMIT} visible characters.")
    return text


IssuerClient = Annotated[
    str | None,
    typer.Option(
        metavar="ID",
        help="What the issuer calls the program: the claim of POSTROOM_ISSUER_CLIENT_CLAIM.",
        show_default="the client's id here",
        callback=_check_issuer_id,
    ),
]


def trust_issuer(
    client: ClientName,
    *,
    issuer_client: IssuerClient = None,
    stop: Annotated[
        bool, typer.Option("--stop", help="End it: for this --issuer-client, or for all of the client.")
    ] = False,
) -> None:
    """Let tokens of the trusted issuer work as this client. Without it they open nothing.

    Repeat the command for several ids at the issuer. It takes effect at once, and an end within a second.
    """
    with opened(settings()) as database:
        client_id = identify_client(database, client)
        if stop:
            _stop(database, client_id, issuer_client)
        else:
            _start(database, client_id, issuer_client or str(client_id))


def _start(database: Database, client_id: UUID, issuer_client: str) -> None:
    try:
        with transaction(database) as db:
            link(db, client_id, issuer_client)
            record(db, SecurityEvent(SecurityEventKind.ISSUER_LINKED, operator(), client_id))
    except LinkedElsewhere as error:
        raise missing(
            f"tokens of {printable(issuer_client)} work as client {error.client_id} already. "
            f"To end that: postroom clients trust-issuer {error.client_id} --stop"
        ) from error
    typer.echo(f"postroom: the issuer's tokens for {printable(issuer_client)} work as client {client_id}")


def _stop(database: Database, client_id: UUID, issuer_client: str | None) -> None:
    with transaction(database) as db:
        number = unlink(db, client_id, issuer_client)
        if number:
            details = {"ended": number}
            record(db, SecurityEvent(SecurityEventKind.ISSUER_UNLINKED, operator(), client_id, None, details))
    if not number:
        raise missing("no token of the issuer works as this client. `postroom clients list` shows which do.")
    typer.echo(f"postroom: ended {count(number, 'link')} of client {client_id} to the issuer")
