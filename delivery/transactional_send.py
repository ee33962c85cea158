"""Send inside the caller's own transaction. It is the durable way for programs that share the database."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

from delivery.intake.direct_sends import DirectSend, read_direct_send, reused_id
from delivery.intake.errors import FieldError, InvalidInput
from delivery.intake.messages import faults_of_unknown
from delivery.records.caller_connection import wrap_connection
from delivery.records.identities import clients
from delivery.records.pipeline.accept import Acceptance, Duplicate, IncomingMessage, UnknownRecipients, accept

AT_ONCE = timedelta(0)


def send_in(connection: object, fields: Mapping[str, object], *, client_id: UUID, grace: timedelta = AT_ONCE) -> UUID:
    """Store a message in the transaction that is open on this psycopg or SQLAlchemy connection, and return its id.

    The message exists if and only if the caller commits. The sweep finds it within a second of that. A caller that
    rings the bell after the commit passes a `grace`, for which the sweep leaves the message to that bell. Sending the
    same fields with the same `message_uuid` again changes nothing.

    Raises `InvalidInput` with every error. Then nothing was written, and the caller's transaction can continue.
    """
    sent = read_direct_send(fields)
    db = wrap_connection(connection)
    if not clients.exists(db, client_id):
        raise InvalidInput([FieldError("client_id", "invalid_value", "There is no client with this id.")])
    incoming = IncomingMessage(sent.message_id, client_id, sent.draft, is_own_id=True)
    faults = faults_of_acceptance(sent, accept(db, [incoming], grace=grace)[sent.message_id])
    if faults:
        raise InvalidInput(faults)
    return sent.message_id


def faults_of_acceptance(sent: DirectSend, acceptance: Acceptance) -> list[FieldError]:
    """Return the errors for which a send was not stored; an empty list when it was, now or before."""
    if isinstance(acceptance, UnknownRecipients):
        return faults_of_unknown(sent.draft, sent.given_ids, acceptance.account_ids)
    if isinstance(acceptance, Duplicate) and not acceptance.is_identical:
        return [reused_id()]
    return []
