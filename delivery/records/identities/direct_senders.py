"""Find out which client sent a direct send: by its signature or, for clients made before signatures, by a token."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, func, select, text

from delivery.credentials import is_match, is_prefix, parse_credential
from delivery.intake.errors import FieldError
from delivery.intake.timestamps import read_instant
from delivery.records.identities import clients
from delivery.records.identities.clients import StoredCredential
from delivery.sealing import SealBroken, open_sealed
from delivery.settings import Settings
from delivery.signatures import ISSUED_AT, KEY_ID, SIGNATURE, SIGNATURE_FIELDS, is_signed
from delivery.vocabulary import CredentialKind, Scope

TOKEN = "token"  # noqa: S105 - the name of a field
_AHEAD = timedelta(minutes=5)  # The clock of a sender may be so much before that of the database.
_Key = tuple[str, CredentialKind]
_Fields = Mapping[str, object]
_NOTE_TOKENS = text("""
    UPDATE client SET direct_token_used_at = clock_timestamp()
    WHERE id = ANY(:ids) AND coalesce(direct_token_used_at < clock_timestamp() - INTERVAL '1 hour', true)
    RETURNING id
""")
_BY_TOKEN = text("""
    SELECT id FROM client WHERE direct_token_used_at > clock_timestamp() - INTERVAL '30 days' ORDER BY id
""")


@dataclass(frozen=True, slots=True)
class DirectSender:
    """The client of a direct send, as far as it proved to be that one, and why its send is not taken."""

    client_id: UUID | None = None
    fault: FieldError | None = None
    is_by_token: bool = False


@dataclass(frozen=True, slots=True)
class KnownSenders:
    """The credentials that some direct sends name, and the time of the database."""

    credentials: Mapping[_Key, StoredCredential]
    now: datetime


def find(db: Connection, sends: Iterable[_Fields]) -> KnownSenders:
    """Read the credentials that these sends name."""
    keys = [key for fields in sends if (key := _key_of(fields))]
    return KnownSenders(
        clients.find_credentials(db, keys), db.scalar(select(func.clock_timestamp())) or datetime.now(UTC)
    )


def identify(fields: _Fields, known: KnownSenders, settings: Settings) -> DirectSender:
    """Return who sent these fields. A sender whose signature or token is genuine is named beside the fault too."""
    if any(name in fields for name in SIGNATURE_FIELDS):
        return _by_signature(fields, known, settings)
    return _by_token(fields, known, settings)


def note_tokens(db: Connection, client_ids: Collection[UUID]) -> list[UUID]:
    """Record that these clients used tokens; return those for which none was recorded within the last hour."""
    return list(db.scalars(_NOTE_TOKENS, {"ids": list(client_ids)})) if client_ids else []


def clients_by_token(db: Connection) -> list[UUID]:
    """Return the clients that used a token in a direct send within the last 30 days."""
    return list(db.scalars(_BY_TOKEN))


def _key_of(fields: _Fields) -> _Key | None:
    key_id, token = fields.get(KEY_ID), fields.get(TOKEN)
    if isinstance(key_id, str):
        return (key_id, CredentialKind.SIGNING_KEY) if is_prefix(key_id) else None
    parts = parse_credential(token, CredentialKind.ACCESS_TOKEN) if isinstance(token, str) else None
    return (parts[0], CredentialKind.ACCESS_TOKEN) if parts else None


def _by_signature(fields: _Fields, known: KnownSenders, settings: Settings) -> DirectSender:
    for name in SIGNATURE_FIELDS:
        if not isinstance(fields.get(name), str):
            return DirectSender(
                fault=FieldError(name, "required", f"{name} is missing, or no text. Sign the whole send.")
            )
    key = _key_of(fields)
    found = known.credentials.get(key) if key else None
    if key is None or found is None or not _is_genuine(fields, key[0], found, settings):
        sentence = "The signature is not that of these fields by a signing key that works."
        return DirectSender(fault=FieldError(SIGNATURE, "invalid_signature", sentence))
    return DirectSender(found.client_id, _fault_of_signed(fields, found, known.now, settings))


def _is_genuine(fields: _Fields, key_id: str, found: StoredCredential, settings: Settings) -> bool:
    if found.sealed is None:
        return False
    try:
        return is_signed(fields, open_sealed(found.sealed, key_id, *settings.sealing_keys))
    except SealBroken:  # The setting is another than the one that this key was made with.
        return False


def _fault_of_signed(fields: _Fields, found: StoredCredential, now: datetime, settings: Settings) -> FieldError | None:
    issued_at = read_instant(str(fields[ISSUED_AT]))
    if issued_at is None or issued_at > now + _AHEAD:
        return FieldError(ISSUED_AT, "invalid_value", f"{ISSUED_AT} must be an RFC 3339 instant that is not to come.")
    if issued_at < now - timedelta(days=settings.signature_days):
        return FieldError(
            ISSUED_AT, "expired_signature", "The signature had expired when the task was read. Sign again."
        )
    if found.is_expired:
        return FieldError(KEY_ID, "expired_key", "The signing key has expired. Sign with a new one.")
    return _fault_of_scope(KEY_ID, found)


def _by_token(fields: _Fields, known: KnownSenders, settings: Settings) -> DirectSender:
    token = fields.get(TOKEN)
    if token is None:
        return DirectSender(
            fault=FieldError(SIGNATURE, "required", f"{SIGNATURE} is missing. Sign the send by a signing key.")
        )
    parts = parse_credential(token, CredentialKind.ACCESS_TOKEN) if isinstance(token, str) else None
    found = known.credentials.get((parts[0], CredentialKind.ACCESS_TOKEN)) if parts else None
    if parts is None or found is None or not is_match(parts[1], found.digest, settings.pepper):
        return DirectSender(fault=FieldError(TOKEN, "invalid_token", "The access token is not valid."))
    return DirectSender(found.client_id, _fault_of_token(found, known.now, settings), is_by_token=True)


def _fault_of_token(found: StoredCredential, now: datetime, settings: Settings) -> FieldError | None:
    if not found.may_send_by_token or now.date() > settings.direct_tokens_until:
        return FieldError(TOKEN, "token_not_taken", "Direct sends of this client must be signed by a signing key.")
    if found.is_expired:
        return FieldError(
            TOKEN, "expired_token", "The access token had expired when the task was read. Send a new one."
        )
    return _fault_of_scope(TOKEN, found)


def _fault_of_scope(field: str, found: StoredCredential) -> FieldError | None:
    if Scope.MESSAGE_SEND in found.scopes:
        return None
    return FieldError(field, "insufficient_scope", f"This needs the scope {Scope.MESSAGE_SEND}, which was not granted.")
