"""The deliver step claims a recipient, sends without an open transaction, and records the outcome."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from delivery.records.database import transaction
from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.rules.retry import SCHEDULE
from delivery.vocabulary import AccountStatus, Channel, Reason, State
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.deliver import _claim, deliver
from tasks.steps.release import release
from tests.support.attempts import LATER, UNKNOWN
from tests.support.fixtures import Fixtures
from tests.support.statements import counted
from tests.support.step_driver import RecordingSender


def test_a_claimed_recipient_is_sent_its_mail_and_recorded(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    deliver(context, fixtures.recipient_ids(queued))

    recipient = fixtures.recipient(queued)
    assert [(queued, 1, "Hello")] == [(each.message_id, each.attempt, each.subject) for each in relay.letters]
    assert (State.DELIVERED, 1, None, False) == (
        recipient.state,
        recipient.attempt,
        recipient.due_at,
        recipient.possibly_duplicated,
    )
    assert (0, 1, "sent") == fixtures.counters(queued)
    assert fixtures.view(queued).sent_at is not None
    assert 0 == fixtures.count("inbox_letter")


def test_no_transaction_is_open_during_a_send(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    def send(claimed: ClaimedDelivery) -> Outcome:
        with transaction(context.database) as db:
            db.execute(text("SELECT FROM recipient WHERE id = :id FOR UPDATE NOWAIT"), {"id": claimed.recipient_id})
        assert 0 == context.database.pool.checkedout()  # type: ignore[attr-defined] # it is a QueuePool
        return Outcome(OutcomeKind.SENT)

    relay.answer = send

    deliver(context, fixtures.recipient_ids(queued))

    assert [State.DELIVERED] == fixtures.states(queued)


def test_a_bell_that_rings_twice_sends_once(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    deliver(context, fixtures.recipient_ids(queued))
    deliver(context, fixtures.recipient_ids(queued))

    assert 1 == len(relay.letters)


def test_a_bell_that_rings_during_a_send_sends_nothing(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    def send(claimed: ClaimedDelivery) -> Outcome:
        deliver(context, [claimed.recipient_id])
        return Outcome(OutcomeKind.SENT)

    relay.answer = send

    deliver(context, fixtures.recipient_ids(queued))

    assert 1 == len(relay.letters)


def test_of_two_claims_in_one_transaction_the_first_gets_the_recipient(
    fixtures: Fixtures, context: StepContext, queued: UUID
) -> None:
    (recipient_id,) = fixtures.recipient_ids(queued)

    first, second = _claim(context, [[recipient_id], [recipient_id]])

    assert ([1], []) == ([claimed.attempt for claimed in first], second)


def test_concurrent_runs_send_each_mail_once_and_share_transactions(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    message_id = fixtures.message(*fixtures.accounts(40, Channel.EMAIL))
    decide(context, [message_id])
    ids = fixtures.recipient_ids(message_id)

    # Every bell rings twice.
    with counted(context.database) as statements, ThreadPoolExecutor(16) as threads:
        list(threads.map(lambda each: deliver(context, [each]), [*ids, *ids]))

    assert ids == sorted(claimed.recipient_id for claimed in relay.letters)
    assert 40 * [State.DELIVERED] == fixtures.states(message_id)
    assert (0, 40, "sent") == fixtures.counters(message_id)
    assert len(statements) < 120  # Without sharing, 80 runs would each claim and 40 would each record.


@pytest.mark.parametrize("failed", range(1, 10))
def test_after_a_temporary_failure_the_next_attempt_waits_as_scheduled(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID, failed: int
) -> None:
    relay.answer = lambda _: LATER
    fixtures.run_sql("UPDATE recipient SET attempt = :attempt", attempt=failed - 1)

    deliver(context, fixtures.recipient_ids(queued))

    recipient = fixtures.recipient(queued)
    assert (State.RETRYING, Reason.TRY_LATER, "451 later", failed) == (
        recipient.state,
        recipient.reason,
        recipient.detail,
        recipient.attempt,
    )
    assert recipient.due_at is not None
    assert abs(recipient.due_at - recipient.changed_at - SCHEDULE[failed - 1]) < timedelta(seconds=0.1)
    assert (1, 0, "pending") == fixtures.counters(queued)


def test_a_retry_is_not_made_before_it_is_due(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    relay.answer = lambda _: LATER
    deliver(context, fixtures.recipient_ids(queued))
    fixtures.let_pass(SCHEDULE[0] - timedelta(seconds=5))

    deliver(context, fixtures.recipient_ids(queued))

    assert 1 == len(relay.letters)


def test_a_retry_that_succeeds_clears_the_reason_of_the_failure(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    relay.answer = lambda claimed: LATER if claimed.attempt == 1 else Outcome(OutcomeKind.SENT)
    deliver(context, fixtures.recipient_ids(queued))
    fixtures.let_pass(SCHEDULE[0])

    deliver(context, fixtures.recipient_ids(queued))

    recipient = fixtures.recipient(queued)
    assert (State.DELIVERED, 2, None, None, False) == (
        recipient.state,
        recipient.attempt,
        recipient.reason,
        recipient.detail,
        recipient.possibly_duplicated,
    )


@pytest.mark.parametrize("outcome", [LATER, UNKNOWN])
def test_after_the_last_attempt_a_recipient_has_failed(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID, outcome: Outcome
) -> None:
    relay.answer = lambda _: outcome

    for _ in range(12):
        deliver(context, fixtures.recipient_ids(queued))
        fixtures.let_pass(timedelta(hours=13))

    assert (10, [State.FAILED], [Reason.GAVE_UP]) == (
        len(relay.letters),
        fixtures.states(queued),
        fixtures.reasons(queued),
    )
    assert (0, 0, "rejected") == fixtures.counters(queued)


def test_a_permanent_refusal_is_final(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    relay.answer = lambda _: Outcome(OutcomeKind.PERMANENT, Reason.MAILBOX_REFUSED, "550 no such user")

    deliver(context, fixtures.recipient_ids(queued))

    recipient = fixtures.recipient(queued)
    assert (State.FAILED, Reason.MAILBOX_REFUSED, "550 no such user", None) == (
        recipient.state,
        recipient.reason,
        recipient.detail,
        recipient.due_at,
    )


def test_preferences_are_checked_again_at_delivery(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    fixtures.change(fixtures.recipient(queued).account_id, is_closed=True)

    deliver(context, fixtures.recipient_ids(queued))

    assert ([], [State.BLOCKED], [Reason.CLOSED_TO_EVERYBODY]) == (
        relay.letters,
        fixtures.states(queued),
        fixtures.reasons(queued),
    )


def test_an_account_suspended_after_queueing_gets_nothing(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    fixtures.change(fixtures.recipient(queued).account_id, status=AccountStatus.SUSPENDED)

    deliver(context, fixtures.recipient_ids(queued))

    assert ([], [State.FAILED], [Reason.ACCOUNT_UNAVAILABLE]) == (
        relay.letters,
        fixtures.states(queued),
        fixtures.reasons(queued),
    )


def test_an_account_that_chose_the_inbox_after_queueing_gets_an_inbox_letter(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    account_id = fixtures.recipient(queued).account_id
    fixtures.change(account_id, channel=Channel.INBOX)

    deliver(context, fixtures.recipient_ids(queued))

    assert ([], [queued]) == (relay.letters, fixtures.inbox(account_id))
    assert (State.DELIVERED, Channel.INBOX) == (fixtures.recipient(queued).state, fixtures.recipient(queued).channel)
    assert (0, 1, "sent") == fixtures.counters(queued)


def test_a_new_address_is_used_from_the_next_attempt(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    relay.answer = lambda _: LATER
    deliver(context, fixtures.recipient_ids(queued))
    fixtures.change(fixtures.recipient(queued).account_id, email="new@example.com")
    fixtures.let_pass(SCHEDULE[0])

    deliver(context, fixtures.recipient_ids(queued))

    assert "new@example.com" == relay.letters[-1].address


def test_the_time_of_sending_is_that_of_the_first_delivery(fixtures: Fixtures, context: StepContext) -> None:
    message_id = fixtures.message(*fixtures.accounts(2, Channel.EMAIL))
    decide(context, [message_id])
    first, second = fixtures.recipient_ids(message_id)
    deliver(context, [first])
    sent_at = fixtures.view(message_id).sent_at

    deliver(context, [second])

    assert sent_at is not None
    assert sent_at == fixtures.view(message_id).sent_at


def test_an_unknown_outcome_is_resent_after_the_send_deadline(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    relay.answer = lambda _: UNKNOWN

    deliver(context, fixtures.recipient_ids(queued))

    recipient = fixtures.recipient(queued)
    assert recipient.due_at is not None
    assert abs(recipient.due_at - recipient.changed_at - context.settings.send_deadline) < timedelta(seconds=0.1)


def test_an_unknown_outcome_is_held_until_released_when_the_policy_is_hold(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender, queued: UUID
) -> None:
    relay.answer = lambda claimed: UNKNOWN if claimed.attempt == 1 else Outcome(OutcomeKind.SENT)
    holding = replace(context, settings=context.settings.model_copy(update={"unknown_policy": "hold"}))
    deliver(holding, fixtures.recipient_ids(queued))
    fixtures.let_pass(timedelta(days=30))

    deliver(holding, fixtures.recipient_ids(queued))
    held = fixtures.states(queued)
    release(holding, queued)
    deliver(holding, fixtures.recipient_ids(queued))

    assert ([State.UNKNOWN], [State.DELIVERED]) == (held, fixtures.states(queued))
    assert (2, True) == (len(relay.letters), fixtures.recipient(queued).possibly_duplicated)
