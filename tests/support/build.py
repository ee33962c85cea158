"""Builders with defaults: a test names only the values that it is about."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

from pydantic import SecretStr

from delivery.intake.messages import Draft, read_draft
from delivery.records.identities.account_batches import ImportRules
from delivery.records.identities.address_changes import Author
from delivery.records.pipeline.accept import IncomingMessage
from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.rules.case_decisions import Actor, ActorKind, CaseDecision, CaseVerdict
from delivery.rules.outcomes import Attempt
from delivery.rules.preferences import DeliveryPreferences, SenderContext
from delivery.rules.status import RecipientStatus
from delivery.rules.transitions import PendingRecipient
from delivery.settings import Settings
from delivery.vocabulary import Channel, MessageType, Reason, State

PEPPER = SecretStr("a pepper for tests, 32 characters or more")
MESSAGE_ID = UUID("0199aaaa-0000-7000-8000-000000000000")
CLIENT_ID = UUID("0199bbbb-0000-7000-8000-000000000000")
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SENDER = SenderContext(MessageType.OTHER, CLIENT_ID)
STAFF = Actor(ActorKind.STAFF, "staff-1", "Ada")
APPROVED = CaseDecision(CaseVerdict.APPROVE, STAFF, note="fine")
REJECTED = CaseDecision(CaseVerdict.REJECT, STAFF, note="no")

_numbers = count(1)


def account_id(number: int | None = None) -> UUID:
    """Return the account id with this number, or one that no other call has returned."""
    return UUID(int=0x31C8D3E7_0000_4000_8000_000000000000 + (next(_numbers) + 1_000_000 if number is None else number))


def settings(**chosen: Any) -> Settings:
    """Make settings of defaults and the values chosen here."""
    return Settings(**{"pepper": PEPPER, "mail_domain": "postroom.example", **chosen})


def standing(state: State, reason: Reason | None = None, *, account: UUID | None = None) -> RecipientStatus:
    """Make the status of one recipient."""
    return RecipientStatus(account or account_id(), state, reason)


def standings(*states: State) -> list[RecipientStatus]:
    """Make the statuses of recipients in these states, without reasons, of accounts 0, 1, 2, ..."""
    return [RecipientStatus(account_id(number), state) for number, state in enumerate(states)]


def pending(state: State = State.ACCEPTED, **chosen: Any) -> PendingRecipient:
    """Make a recipient before it is decided."""
    facts: dict[str, Any] = {
        "recipient_id": next(_numbers),
        "message_id": MESSAGE_ID,
        "account_id": account_id(1),
        "address": "bruno@mail.example",
        "attempt": 0,
        "sender": SENDER,
        "preference": DeliveryPreferences(),
        "read_at": NOON,
    }
    return PendingRecipient(state=state, **{**facts, **chosen})


def attempt(number: int = 1, channel: Channel = Channel.EMAIL) -> Attempt:
    """Make an attempt at some recipient."""
    return Attempt(next(_numbers), MESSAGE_ID, number, channel)


def fields(**chosen: object) -> dict[str, object]:
    """Make the fields of a sendable message as a client sends them."""
    facts: dict[str, object] = {
        "recipient_uuids": [str(account_id(1))],
        "sender_name": "Anna Example",
        "subject": "A question",
        "body": "Hello.\n",
    }
    return {**facts, **chosen}


def draft(recipient_ids: Sequence[UUID] = (), **chosen: object) -> Draft:
    """Make a draft for these recipients, or for one that no other draft has."""
    recipients = [str(each) for each in recipient_ids or [account_id()]]
    return read_draft(fields(recipient_uuids=recipients, **chosen))


def incoming(number: int, recipient_ids: Sequence[UUID] = ()) -> IncomingMessage:
    """Make an incoming message whose id ends in this number."""
    return IncomingMessage(UUID(int=MESSAGE_ID.int + number), CLIENT_ID, draft(recipient_ids))


def claimed(**chosen: Any) -> ClaimedDelivery:
    """Make a claimed recipient with all that an attempt needs."""
    facts: dict[str, Any] = {
        "recipient_id": 7,
        "message_id": MESSAGE_ID,
        "account_id": account_id(1),
        "attempt": 1,
        "channel": Channel.EMAIL,
        "account_name": "Bruno Beispiel",
        "address": "bruno@mail.example",
        "preference": DeliveryPreferences(channel=Channel.EMAIL),
        "read_at": NOON,
        "type": MessageType.OTHER,
        "client_id": CLIENT_ID,
        "sender_name": "Anna Example",
        "sender_email": None,
        "subject": "A question",
        "body": "Hello.\n",
        "created_at": NOON,
    }
    return ClaimedDelivery(**{**facts, **chosen})


def import_rules() -> ImportRules:
    """Return the rules of an import by an operator, which keeps what account holders have chosen."""
    return ImportRules(Author("operator", PEPPER))
