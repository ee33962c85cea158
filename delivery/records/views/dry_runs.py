"""What would become of a message for each of its recipients, without storing it. Content rules are not asked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection, Row, text

from delivery.intake.messages import Draft
from delivery.records.identities.simulated_accounts import marked_for_tests
from delivery.records.pipeline.candidates import RULE_COLUMNS, preference_of
from delivery.records.views.messages import RecipientView
from delivery.rules.preferences import SenderContext
from delivery.rules.simulated_recipients import SIMULATED
from delivery.rules.transitions import PendingRecipient, decide_recipient
from delivery.settings import Settings
from delivery.vocabulary import AccountStatus, RuleVerdict, State

_NO_MESSAGE = UUID(int=0)
_RECIPIENTS = text(f"""
    SELECT account.id AS account_id, {RULE_COLUMNS}
    FROM (SELECT CAST(:type AS text), CAST(:client_id AS uuid), CAST(:sender_email AS text))
        AS message (type, client_id, sender_email)
    CROSS JOIN account LEFT JOIN preference ON preference.account_id = account.id
    WHERE account.id = ANY(CAST(:account_ids AS uuid[])) AND account.status = '{AccountStatus.ACTIVE}'
""")


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What would become of each recipient, in the order of the draft, and which of them are unknown."""

    recipients: Sequence[RecipientView]
    unknown_ids: frozenset[UUID]


def foresee(db: Connection, draft: Draft, client_id: UUID, settings: Settings) -> Foreseen:
    """Return what would become of each recipient of this draft by its preferences."""
    values = {"type": str(draft.type), "client_id": client_id, "sender_email": draft.sender_email}
    named = [*draft.recipient_ids, *([draft.sender_account_id] if draft.sender_account_id else [])]
    rows = db.execute(_RECIPIENTS, {**values, "account_ids": named}).all()
    found = {row.account_id: row for row in rows}
    simulated = found.keys() & SIMULATED.keys()
    if simulated and not marked_for_tests(db, [client_id]):
        found = {account_id: row for account_id, row in found.items() if account_id not in simulated}
    known = [each for each in draft.recipient_ids if each in found]
    sender = SenderContext(draft.type, client_id, draft.sender_email)
    return Foreseen([_view(found[each], sender, settings) for each in known], frozenset(named) - found.keys())


def _view(row: Row[tuple[object, ...]], sender: SenderContext, settings: Settings) -> RecipientView:
    pending = PendingRecipient(
        recipient_id=0,
        message_id=_NO_MESSAGE,
        account_id=row.account_id,
        address="",
        state=State.ACCEPTED,
        attempt=0,
        sender=sender,
        preference=preference_of(row),
        read_at=row.read_at,
    )
    transition = decide_recipient(pending, verdict=RuleVerdict.PASS, grace=settings.grace)
    now: datetime = row.read_at
    return RecipientView(
        recipient_id=0,
        account_id=row.account_id,
        state=transition.after,
        reason=transition.reason,
        channel=transition.channel,
        changed_at=now,
        attempt=0,
        due_at=None if transition.due_in is None else now + transition.due_in,
        possibly_duplicated=False,
        detail=None,
    )
