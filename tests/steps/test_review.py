"""A held message waits for staff or for the end of its review, and is not delivered before it is approved."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from delivery.records.database import transaction
from delivery.records.pipeline import vetting_cases
from delivery.rules.case_decisions import CLOCK, CaseDecision, CaseNotOpen, CaseVerdict, closing_state
from delivery.rules.vetting import Finding
from delivery.settings import Settings
from delivery.vocabulary import AccountStatus, CaseState, Channel, QueueName, Reason, State, StepName
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.review import decide_case, expire_reviews
from tasks.steps.vet import vet
from tests.steps.conftest import HELD_PHRASE
from tests.support.build import APPROVED, REJECTED
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingDoorbell, RecordingSender, RungBell, StepDriver

Hold = Callable[..., UUID]


@pytest.fixture
def hold(fixtures: Fixtures, driver: StepDriver, context: StepContext) -> Hold:
    """Return a function that accepts a flagged message to these accounts and opens its case."""

    def accept_and_open(*account_ids: UUID) -> UUID:
        message_id = fixtures.message(*account_ids, subject=f"Now {HELD_PHRASE}", body=HELD_PHRASE)
        decide(context, [message_id])
        driver.run_until_quiet()
        return message_id

    return accept_and_open


def test_a_held_message_gets_a_case_with_its_findings(fixtures: Fixtures, hold: Hold, settings: Settings) -> None:
    message_id = hold(fixtures.account())

    case = fixtures.case(message_id)
    assert (CaseState.OPEN, message_id, 1) == (case.state, case.message_id, case.recipient_count)
    assert {Finding(HELD_PHRASE, "subject"), Finding(HELD_PHRASE, "body")} == set(case.findings)
    assert abs(case.expires_at - case.opened_at - timedelta(days=settings.hold_days)) < timedelta(seconds=1)
    assert case.expires_at == fixtures.recipient(message_id).due_at


def test_a_case_is_opened_once(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    message_id = hold(fixtures.account())
    case = fixtures.case(message_id)

    vet(context, [message_id])

    assert case == fixtures.case(message_id)
    assert 1 == fixtures.count("vetting_case")


def test_concurrent_vetting_opens_one_case_for_each_message(fixtures: Fixtures, context: StepContext) -> None:
    message_ids = [fixtures.message(fixtures.account(), subject=HELD_PHRASE) for _ in range(5)]
    decide(context, message_ids)
    start = threading.Barrier(4)

    def vet_at_once(_: int) -> None:
        start.wait()
        vet(context, message_ids)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(vet_at_once, range(4)))

    assert 5 == fixtures.count("vetting_case")


def test_a_message_that_is_not_held_gets_no_case(fixtures: Fixtures, context: StepContext) -> None:
    message_id = fixtures.message(fixtures.account())
    decide(context, [message_id])

    vet(context, [message_id])

    assert 0 == fixtures.count("vetting_case")


def test_open_cases_are_listed_oldest_first(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    first, decided, last = hold(fixtures.account()), hold(fixtures.account()), hold(fixtures.account())
    decide_case(context, fixtures.case(decided).case_id, REJECTED)

    with transaction(fixtures.database) as db:
        waiting = vetting_cases.open_cases(db, 10)

    assert [first, last] == [case.message_id for case in waiting]


def test_nothing_is_delivered_before_approval(
    fixtures: Fixtures, hold: Hold, relay: RecordingSender, driver: StepDriver
) -> None:
    inbox = fixtures.account()
    message_id = hold(inbox, fixtures.account(Channel.EMAIL))
    for recipient_id in fixtures.recipient_ids(message_id):
        driver.bells.ring(StepName.DELIVER, QueueName.DELIVER_SMTP, [recipient_id])
    driver.bells.ring(StepName.DECIDE, QueueName.DECIDE, [message_id])

    driver.run_until_quiet()

    assert ([], []) == (relay.letters, fixtures.inbox(inbox))
    assert [State.HELD] * 2 == fixtures.states(message_id)


def test_approval_delivers_to_inboxes_and_queues_mails(
    fixtures: Fixtures, hold: Hold, context: StepContext, bells: RecordingDoorbell
) -> None:
    inbox = fixtures.account()
    message_id = hold(inbox, fixtures.account(Channel.EMAIL))

    decide_case(context, fixtures.case(message_id).case_id, APPROVED)

    _, queued = fixtures.recipient_ids(message_id)
    assert [State.DELIVERED, State.QUEUED] == fixtures.states(message_id)
    assert [None, None] == fixtures.reasons(message_id)
    assert [message_id] == fixtures.inbox(inbox)
    assert [RungBell(StepName.DELIVER, QueueName.DELIVER_SMTP, (queued,))] == list(bells.rung)


def test_approval_is_stored_with_its_author_and_note(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    message_id = hold(fixtures.account())

    decide_case(context, fixtures.case(message_id).case_id, APPROVED)

    case = fixtures.case(message_id)
    assert (CaseState.APPROVED, "Ada", "fine") == (case.state, case.decided_by, case.note)
    assert case.decided_at is not None


def test_an_opt_out_during_the_review_is_respected(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    opted_out, closed, stays = fixtures.account(), fixtures.account(), fixtures.account()
    message_id = hold(opted_out, closed, stays)
    fixtures.change(opted_out, is_closed=True)
    fixtures.change(closed, status=AccountStatus.CLOSED)

    decide_case(context, fixtures.case(message_id).case_id, APPROVED)

    assert [State.BLOCKED, State.FAILED, State.DELIVERED] == fixtures.states(message_id)
    assert [] == fixtures.inbox(opted_out)


def test_a_recipient_blocked_before_the_review_stays_blocked(
    fixtures: Fixtures, hold: Hold, context: StepContext
) -> None:
    blocked = fixtures.account(is_closed=True)
    message_id = hold(blocked, fixtures.account())
    fixtures.change(blocked, is_closed=False, channel=Channel.INBOX)

    decide_case(context, fixtures.case(message_id).case_id, APPROVED)

    assert [State.BLOCKED, State.DELIVERED] == fixtures.states(message_id)
    assert [] == fixtures.inbox(blocked)


def test_rejection_refuses_every_held_recipient(
    fixtures: Fixtures, hold: Hold, context: StepContext, bells: RecordingDoorbell
) -> None:
    message_id = hold(fixtures.account(), fixtures.account(Channel.EMAIL), fixtures.account(is_closed=True))

    decide_case(context, fixtures.case(message_id).case_id, REJECTED)

    assert [Reason.REFUSED_BY_STAFF, Reason.REFUSED_BY_STAFF, Reason.CLOSED_TO_EVERYBODY] == fixtures.reasons(
        message_id
    )
    assert (0, 0, "rejected") == fixtures.counters(message_id)
    assert [] == list(bells.rung)


@pytest.mark.parametrize("second", [APPROVED, REJECTED, CaseDecision(CaseVerdict.EXPIRE, CLOCK)])
@pytest.mark.parametrize("first", [APPROVED, REJECTED])
def test_a_case_is_decided_once(
    fixtures: Fixtures, hold: Hold, context: StepContext, first: CaseDecision, second: CaseDecision
) -> None:
    message_id = hold(fixtures.account())
    decide_case(context, fixtures.case(message_id).case_id, first)
    states = fixtures.states(message_id)

    with pytest.raises(CaseNotOpen, match=f"closed: {closing_state([first.verdict])} by Ada"):
        decide_case(context, fixtures.case(message_id).case_id, second)

    assert (closing_state([first.verdict]), states) == (fixtures.case(message_id).state, fixtures.states(message_id))


def test_of_concurrent_decisions_only_one_succeeds(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    message_id = hold(fixtures.account())
    case_id = fixtures.case(message_id).case_id
    start = threading.Barrier(4)

    def try_to_decide(decision: CaseDecision) -> bool:
        start.wait()
        try:
            decide_case(context, case_id, decision)
        except CaseNotOpen:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        decided = list(pool.map(try_to_decide, [APPROVED, REJECTED, APPROVED, REJECTED]))

    assert 1 == sum(decided)
    assert (State.DELIVERED in fixtures.states(message_id)) == (fixtures.case(message_id).state is CaseState.APPROVED)


def test_an_unknown_case_is_not_open(context: StepContext) -> None:
    with pytest.raises(CaseNotOpen, match="no vetting case with this id"):
        decide_case(context, uuid7(), APPROVED)


def test_a_case_that_staff_did_not_decide_in_time_expires(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    message_id = hold(fixtures.account())
    fixtures.let_pass(timedelta(days=8))

    expire_reviews(context, [message_id])

    assert [Reason.EXPIRED_IN_REVIEW] == fixtures.reasons(message_id)
    assert (CaseState.EXPIRED, "the clock") == (fixtures.case(message_id).state, fixtures.case(message_id).decided_by)


def test_a_case_does_not_expire_before_its_time(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    message_id = hold(fixtures.account())
    fixtures.let_pass(timedelta(days=6.9))

    expire_reviews(context, [message_id])

    assert ([State.HELD], CaseState.OPEN) == (fixtures.states(message_id), fixtures.case(message_id).state)


def test_a_case_that_staff_decided_does_not_expire(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    message_id = hold(fixtures.account())
    decide_case(context, fixtures.case(message_id).case_id, APPROVED)
    fixtures.let_pass(timedelta(days=8))

    expire_reviews(context, [message_id])

    assert [State.DELIVERED] == fixtures.states(message_id)
