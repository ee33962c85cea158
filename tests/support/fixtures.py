"""The database of a test: store accounts and messages, read them, and bring due times nearer."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from uuid_utils.compat import uuid7

from delivery.intake.messages import Draft
from delivery.records.database import Database, transaction
from delivery.records.identities.accounts import AccountFacts
from delivery.records.pipeline import accept, vetting_cases
from delivery.records.pipeline.accept import Acceptance, IncomingMessage, Stored
from delivery.records.pipeline.vetting_cases import CaseView
from delivery.records.views import inbox, messages
from delivery.records.views.messages import MessageView
from delivery.vocabulary import Channel, MessageType, Reason, Scope, State, Status
from tests.support.seed import add_accounts, add_client

GRACE = timedelta(seconds=5)
_SHIFT_DUE_TIMES = text("""
    WITH due AS (UPDATE recipient SET due_at = due_at - :passed),
    decision AS (UPDATE case_decision SET effective_at = effective_at - :passed)
    UPDATE vetting_case SET expires_at = expires_at - :passed, due_at = due_at - :passed
""")


class Fixtures:
    """The records of one test. Accounts are reached in their inbox by default."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.client_id = self.client()

    def client(self, *, scopes: Sequence[Scope] = tuple(Scope)) -> UUID:
        """Store a client with these scopes; return its id."""
        client_id: UUID = uuid7()
        add_client(self.database, client_id, scopes=scopes)
        return client_id

    def account(self, channel: Channel = Channel.INBOX, **facts: Any) -> UUID:
        """Store an account; return its id. Without an address it gets one that belongs to no other account."""
        account_id: UUID = uuid7()
        facts = {"name": "Ada", "email": f"{account_id.hex}@example.com", "channel": channel, **facts}
        self.put(AccountFacts(account_id, **facts))
        return account_id

    def accounts(self, number: int, channel: Channel = Channel.INBOX) -> list[UUID]:
        """Store several accounts; return their ids. A second call uses the same addresses again."""
        facts = [AccountFacts(uuid7(), f"Nr {i}", f"nr{i}@example.com", channel=channel) for i in range(number)]
        self.put(*facts)
        return [each.account_id for each in facts]

    def put(self, *facts: AccountFacts) -> None:
        """Create or replace accounts."""
        add_accounts(self.database, facts)

    def change(self, account_id: UUID, **facts: Any) -> None:
        """Replace an account by one that is reached by e-mail, with these facts and the defaults for all others."""
        known = AccountFacts(account_id, "Ada", f"{account_id.hex}@example.com", channel=Channel.EMAIL)
        self.put(replace(known, **facts))

    def incoming(self, *account_ids: UUID, message_id: UUID | None = None, **fields: Any) -> IncomingMessage:
        """Build a message to these accounts, without storing it."""
        plain = {"sender_name": "Grace", "sender_email": None, "subject": "Hello", "body": "How are you?"}
        draft = Draft(account_ids, **{**plain, "type": MessageType.OTHER, **fields})
        return IncomingMessage(message_id or uuid7(), self.client_id, draft)

    def accept(self, *incoming: IncomingMessage) -> dict[UUID, Acceptance]:
        """Store messages in one transaction; return what became of each."""
        with transaction(self.database) as db:
            return accept.accept(db, incoming, grace=GRACE)

    def message(self, *account_ids: UUID, **fields: Any) -> UUID:
        """Store one message to these accounts; return its id."""
        incoming = self.incoming(*account_ids, **fields)
        assert {incoming.message_id: Stored()} == self.accept(incoming)
        return incoming.message_id

    def view(self, message_id: UUID) -> MessageView:
        """Return a message, which must exist."""
        with transaction(self.database) as db:
            view = messages.message(db, message_id)
        assert view is not None
        return view

    def states(self, message_id: UUID) -> list[State]:
        """Return the states of the recipients of a message, in their order."""
        return [each.state for each in self.view(message_id).recipients]

    def reasons(self, message_id: UUID) -> list[Reason | None]:
        """Return the reasons of these states, in the same order."""
        return [each.reason for each in self.view(message_id).recipients]

    def recipient_ids(self, message_id: UUID) -> list[int]:
        """Return the ids of the recipients of a message, in their order."""
        return [each.recipient_id for each in self.view(message_id).recipients]

    def recipient(self, message_id: UUID) -> messages.RecipientView:
        """Return the only recipient of a message."""
        (only,) = self.view(message_id).recipients
        return only

    def counters(self, message_id: UUID) -> tuple[int, int, Status]:
        """Return the open count, the good count and the status that are stored with a message."""
        (row,) = self.run_sql("SELECT open_count, good_count, status FROM message WHERE id = :id", id=message_id)
        return row.open_count, row.good_count, Status(row.status)

    def case(self, message_id: UUID) -> CaseView:
        """Return the vetting case of a message, which must have one."""
        vetting_id = self.view(message_id).vetting_id
        assert vetting_id is not None
        with transaction(self.database) as db:
            case = vetting_cases.find(db, vetting_id)
        assert case is not None
        return case

    def inbox(self, account_id: UUID) -> list[UUID]:
        """Return the ids of the messages in an inbox, newest first, 100 at most."""
        with transaction(self.database) as db:
            return [letter.message_id for letter in inbox.inbox(db, account_id, limit=100) or []]

    def count(self, table: str) -> int:
        """Return the number of rows in a table."""
        return int(self.run_sql(f"SELECT count(*) FROM {table}")[0][0])

    def run_sql(self, statement: str, **values: Any) -> list[Any]:
        """Run any statement in a transaction of its own; return its rows."""
        with transaction(self.database) as db:
            result = db.execute(text(statement), values)
            return list(result) if result.returns_rows else []

    def let_pass(self, passed: timedelta) -> None:
        """Bring every due time, and the end of every vetting case, nearer by this duration."""
        with transaction(self.database) as db:
            db.execute(_SHIFT_DUE_TIMES, {"passed": passed})
