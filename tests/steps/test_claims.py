"""A claim gives one recipient to one attempt, under a fence, a token and a lease."""

from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text
from uuid_utils.compat import uuid7

from delivery.records.database import transaction
from delivery.records.pipeline import claims
from delivery.vocabulary import Channel, MessageType, State
from tasks.context import StepContext
from tasks.steps.decide import decide
from tests.support.attempts import LEASE, claim
from tests.support.fixtures import Fixtures


def test_a_claim_returns_all_that_an_attempt_needs(fixtures: Fixtures, queued: UUID) -> None:
    (claimed,) = claim(fixtures, queued)

    assert ("Ada", "Grace", MessageType.JOB, Channel.EMAIL, 1) == (
        claimed.account_name,
        claimed.sender_name,
        claimed.type,
        claimed.channel,
        claimed.attempt,
    )
    assert f"{claimed.account_id.hex}@example.com" == claimed.address
    assert fixtures.view(queued).created_at == claimed.created_at


def test_a_claimed_recipient_cannot_be_claimed_again(fixtures: Fixtures, queued: UUID) -> None:
    claim(fixtures, queued)

    assert [] == claim(fixtures, queued)


def test_a_claim_repeated_with_the_same_token_returns_the_same_attempt(fixtures: Fixtures, queued: UUID) -> None:
    token = uuid7()
    (claimed,) = claim(fixtures, queued, token)

    (repeated,) = claim(fixtures, queued, token)

    assert claimed == replace(repeated, read_at=claimed.read_at)
    assert (State.CLAIMED, 1) == (fixtures.recipient(queued).state, fixtures.recipient(queued).attempt)


def test_a_claim_skips_a_row_that_another_transaction_has_locked(
    fixtures: Fixtures, context: StepContext, queued: UUID
) -> None:
    other = fixtures.message(fixtures.account(Channel.EMAIL))
    decide(context, [other])
    locked_id, free_id = *fixtures.recipient_ids(queued), *fixtures.recipient_ids(other)

    with transaction(fixtures.database) as locking:
        locking.execute(text("SELECT FROM recipient WHERE id = :id FOR UPDATE"), {"id": locked_id})
        with transaction(fixtures.database) as db:
            deliveries = claims.claim(db, [locked_id, free_id], token=uuid7(), lease=LEASE)

    assert [free_id] == [each.recipient_id for each in deliveries]


@pytest.mark.parametrize(
    "state", [State.ACCEPTED, State.HELD, State.DELIVERED, State.BLOCKED, State.FAILED, State.REFUSED]
)
def test_only_a_waiting_recipient_can_be_claimed(fixtures: Fixtures, queued: UUID, state: State) -> None:
    is_final = state not in {State.ACCEPTED, State.HELD}
    due_at = "NULL" if is_final else "clock_timestamp() - INTERVAL '1 h'"
    fixtures.run_sql(f"UPDATE recipient SET state = :state, due_at = {due_at}", state=state)

    assert [] == claim(fixtures, queued)


def test_a_claimed_recipient_is_due_at_the_end_of_its_lease(fixtures: Fixtures, queued: UUID) -> None:
    claim(fixtures, queued)

    recipient = fixtures.recipient(queued)
    assert recipient.due_at is not None
    assert abs(recipient.due_at - recipient.changed_at - LEASE) < timedelta(seconds=0.1)
