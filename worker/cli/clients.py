"""`postroom clients`: manage clients and their credentials. A secret is printed once and not stored."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal
from uuid import UUID

import typer
from uuid_utils.compat import uuid7

from delivery.credentials import (
    NewCredential,
    generate_credential,
    generate_signing_key,
    is_prefix,
    parse_credential,
)
from delivery.explain import ago, count, span
from delivery.intake.messages import RECIPIENT_LIMIT
from delivery.records.database import Database, transaction
from delivery.records.identities import clients as records
from delivery.records.identities import credentials
from delivery.records.identities.clients import RateLimits
from delivery.records.identities.credentials import ClientView, KeyView, NotRotated
from delivery.records.identities.security_events import SecurityEvent, record
from delivery.settings import Settings, environment_name
from delivery.vocabulary import CredentialKind, Scope
from delivery.vocabulary import SecurityEventKind as Kinds
from worker.cli import cancelling
from worker.cli.console import (
    AsJson,
    check_encoding,
    missing,
    opened,
    operator,
    printable,
    settings,
    show_json,
    show_table,
)
from worker.cli.named_clients import ClientName, identify_client
from worker.cli.sealing import reseal
from worker.cli.simulations import mark_test_client
from worker.cli.trusted_clients import trust_issuer

clients = typer.Typer(help="Manage clients, the programs that may send, and their keys.", no_args_is_help=True)
clients.command("trust-issuer")(trust_issuer)
clients.command("reseal")(reseal)
clients.command("test")(mark_test_client)

_SETTING = "that of the settings"

Kind = Annotated[
    Literal["api_key", "client_secret", "signing_key"],
    typer.Option(help="A key for a header, a secret for /oauth/token, or a key that signs direct sends."),
]
PerMinute = Annotated[int | None, typer.Option(min=1, help="Limit of this client.", show_default=_SETTING)]
Days = Annotated[
    float | None,
    typer.Option("--expires-in-days", min=0.001, help="Days until it expires.", show_default="never"),
]

_ADVICE = "Use `postroom clients add-key`, then revoke what it replaces."
_NAMES = {
    CredentialKind.API_KEY: "API key",
    CredentialKind.CLIENT_SECRET: "client secret",
    CredentialKind.ACCESS_TOKEN: "access token",
    CredentialKind.SIGNING_KEY: "signing key",
}


@clients.command("create")
def create(
    name: Annotated[str, typer.Argument(help="Name of the client.", callback=check_encoding)],
    scope: Annotated[list[Scope], typer.Option(help="Scope of the client; repeat the option for several.")],
    *,
    requests_per_minute: PerMinute = None,
    recipients_per_minute: Annotated[
        int | None, typer.Option(min=RECIPIENT_LIMIT, help="Limit of this client.", show_default=_SETTING)
    ] = None,
    expires_in_days: Days = None,
) -> None:
    """Create a client and print its API key, this once: only a digest of it is stored."""
    config = settings()
    client_id = uuid7()
    credential = generate_credential(CredentialKind.API_KEY, config.pepper)
    limits = RateLimits(requests_per_minute, recipients_per_minute)
    with opened(config) as database, transaction(database) as db:
        records.put(db, client_id, name, scopes=scope, limits=limits)
        records.add_credentials(db, client_id, [credential], lifetime=_days(expires_in_days))
        created = SecurityEvent(Kinds.CLIENT_CREATED, operator(), client_id, None, {"scopes": sorted(scope)})
        record(db, created, _made(client_id, credential))
    _show_secret(client_id, credential)


@clients.command("list")
def list_clients(*, as_json: AsJson = False) -> None:
    """List all clients with their keys and secrets: public prefix, last use and end."""
    with opened(settings()) as database, transaction(database) as db:
        found = credentials.overview(db)
    if as_json:
        show_json({"clients": [asdict(each) for each in found]})
    elif not found:
        typer.echo("There is no client yet. Next: postroom clients create NAME --scope message.send")
    for each in [] if as_json else found:
        _show_client(each, datetime.now(UTC))


@clients.command("add-key")
def add_key(
    client: ClientName,
    *,
    kind: Kind = "api_key",
    scope: Annotated[
        list[Scope] | None,
        typer.Option(help="Scope of this credential; repeat for several.", show_default="all of the client"),
    ] = None,
    expires_in_days: Days = None,
) -> None:
    """Create another key or secret for a client and print it, this once. Older ones continue to work."""
    config = settings()
    credential = _generate(CredentialKind(kind), config)
    with opened(config) as database:
        client_id = identify_client(database, client)
        with transaction(database) as db:
            records.add_credentials(db, client_id, [credential], scopes=scope or None, lifetime=_days(expires_in_days))
            record(db, _made(client_id, credential))
    _show_secret(client_id, credential)


@clients.command("rotate")
def rotate(
    client: ClientName,
    *,
    kind: Kind = "api_key",
    overlap_hours: Annotated[float, typer.Option(min=0, help="Hours until the older ones of this kind end.")] = 24,
    expires_in_days: Days = None,
) -> None:
    """Replace the keys or secrets of a client by a new one and print it, this once."""
    config = settings()
    credential = _generate(CredentialKind(kind), config)
    overlap = timedelta(hours=overlap_hours)
    with opened(config) as database:
        client_id = identify_client(database, client)
        try:
            with transaction(database) as db:
                replaced = credentials.rotate(
                    db, client_id, credential, overlap=overlap, lifetime=_days(expires_in_days)
                )
                overlap_s = int(overlap.total_seconds())
                details = {"kind": credential.kind, "replaced": replaced, "overlap_s": overlap_s}
                record(
                    db,
                    SecurityEvent(Kinds.CREDENTIALS_REPLACED, operator(), client_id, None, details),
                    _made(client_id, credential),
                )
        except NotRotated as error:
            raise missing(f"the client has {error}. {_ADVICE}") from error
    _show_secret(client_id, credential)
    typer.echo(_describe_replaced(replaced, _NAMES[credential.kind], overlap))


@clients.command("revoke")
def revoke(
    what: Annotated[
        str,
        typer.Argument(
            metavar="PREFIX|CLIENT",
            help="Prefix of a credential, or id or name of a client.",
            callback=check_encoding,
        ),
    ],
    *,
    cancel_waiting: Annotated[
        bool, typer.Option("--cancel-waiting", help="Also cancel all that waits of this client, for good. Asks first.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Revoke one key, secret or token, or all credentials of a client.

    It takes effect within a second.
    """
    prefix = _read_prefix(what)
    if prefix is not None and cancel_waiting:
        raise typer.BadParameter("--cancel-waiting needs a client, not the prefix of a credential.")
    with opened(settings()) as database:
        if prefix is None:
            client_id = identify_client(database, what)
            if cancel_waiting and not yes:
                cancelling.ask(database, client_id)
            _revoke_all(database, client_id)
            if cancel_waiting:
                cancelling.cancel_waiting(database, client_id)
        else:
            _revoke(database, prefix)


def _revoke_all(database: Database, client_id: UUID) -> None:
    with transaction(database) as db:
        number = credentials.revoke_all(db, client_id)
        record(db, SecurityEvent(Kinds.CREDENTIALS_REVOKED, operator(), client_id, None, {"revoked": number}))
    typer.echo(f"postroom: revoked {count(number, 'credential')} of client {client_id}; it has no access any more")


def _revoke(database: Database, prefix: str) -> None:
    with transaction(database) as db:
        is_done = credentials.revoke(db, prefix)
        if is_done:
            record(db, SecurityEvent(Kinds.CREDENTIAL_REVOKED, operator(), subject=prefix))
    if not is_done:
        raise missing(f"there is no {prefix} that is not revoked already. `postroom clients list` shows them.")
    typer.echo(f"postroom: revoked {prefix}; it gives no access any more")


def _made(client_id: UUID, credential: NewCredential) -> SecurityEvent:
    details = {"kind": credential.kind}
    return SecurityEvent(Kinds.CREDENTIAL_CREATED, operator(), client_id, credential.prefix, details)


def _read_prefix(text: str) -> str | None:
    """Return the prefix in a text, or None. An operator may paste a whole key: its prefix is enough."""
    parts = parse_credential(text.strip())
    prefix = parts[0] if parts else text.strip()
    return prefix if is_prefix(prefix) else None


def _generate(kind: CredentialKind, config: Settings) -> NewCredential:
    if kind is not CredentialKind.SIGNING_KEY:
        return generate_credential(kind, config.pepper)
    if config.sealing_key is None:
        variable = environment_name("sealing_key")
        raise missing(f"{variable} is not set. Set it here and for the deciding workers, then run this again.")
    return generate_signing_key(config.pepper, config.sealing_key)


def _days(days: float | None) -> timedelta | None:
    return None if days is None else timedelta(days=days)


def _show_secret(client_id: UUID, credential: NewCredential) -> None:
    name = _NAMES[credential.kind]
    typer.echo(f"client         {client_id}\n{name:<13}  {credential.text.get_secret_value()}")
    typer.echo(f"Keep the {name} now: it is not shown again.")


def _describe_replaced(replaced: int, name: str, overlap: timedelta) -> str:
    old = f"The old {name}" if replaced == 1 else f"The {replaced} old {name}s"
    if not overlap:
        return f"{old} cannot be used any more. The program must use the new one now."
    until = datetime.now(UTC) + overlap
    return (
        f"{old} can be used until {until:%Y-%m-%d %H:%M} UTC, which is in {span(overlap)}, or until an earlier end; "
        "the program must use the new one by then. To end one at once: postroom clients revoke PREFIX"
    )


def _show_client(client: ClientView, now: datetime) -> None:
    typer.echo(f"{client.client_id}  {printable(client.name)}")
    typer.echo(f"    may: {', '.join(client.scopes) or 'nothing'}")
    typer.echo(f"    access tokens that work: {client.live_tokens}")
    called = ", ".join(map(printable, client.issuer_clients))
    typer.echo(f"    tokens of the trusted issuer: {f'for {called}' if called else 'none'}")
    rows = [_row(each, now) for each in client.credentials]
    show_table("", ("prefix", "kind", "may", "last used", "ends"), rows)


def _row(key: KeyView, now: datetime) -> tuple[str, ...]:
    may = "all of it" if key.scopes is None else ", ".join(key.scopes)
    return key.prefix, _NAMES[key.kind], may, ago(key.last_used_at, now), _end(key, now)


def _end(key: KeyView, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked {ago(key.revoked_at, now)}"
    if key.expires_at is None:
        return "never"
    return f"in {span(key.expires_at - now)}" if key.is_alive else f"expired {ago(key.expires_at, now)}"
