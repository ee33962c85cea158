"""The views return the progress of messages, whole messages, and inboxes a page at a time."""

from datetime import datetime
from uuid import UUID

from uuid_utils.compat import uuid7

from delivery.records.database import transaction
from delivery.records.views import inbox, messages
from delivery.records.views.inbox import InboxView
from delivery.records.views.messages import Progress
from delivery.rules.status import RecipientStatus
from delivery.vocabulary import Channel, MessageType, Reason, State
from tasks.context import StepContext
from tasks.steps.decide import decide
from tests.steps.conftest import HELD_PHRASE
from tests.support.fixtures import Fixtures
from tests.support.step_driver import StepDriver


def test_progress_lists_recipients_in_the_order_of_the_message(fixtures: Fixtures, context: StepContext) -> None:
    blocked, email, inbox = fixtures.account(is_closed=True), fixtures.account(Channel.EMAIL), fixtures.account()
    message_id = fixtures.message(email, blocked, inbox)
    decide(context, [message_id])

    progress = _progress(fixtures, [message_id])

    statuses = (
        RecipientStatus(email, State.QUEUED),
        RecipientStatus(blocked, State.BLOCKED, Reason.CLOSED_TO_EVERYBODY),
        RecipientStatus(inbox, State.DELIVERED),
    )
    assert {message_id: Progress(statuses, None)} == progress


def test_progress_is_empty_for_an_unknown_message(fixtures: Fixtures) -> None:
    assert {} == _progress(fixtures, [uuid7()])


def test_only_messages_whose_delivery_waits_or_has_ended_are_settled(
    fixtures: Fixtures, context: StepContext, driver: StepDriver
) -> None:
    fresh = fixtures.message(fixtures.account())
    queued = fixtures.message(fixtures.account(), fixtures.account(Channel.EMAIL))
    delivered = fixtures.message(fixtures.account(), fixtures.account(is_closed=True))
    held = fixtures.message(fixtures.account(), subject=HELD_PHRASE)
    decide(context, [queued, delivered, held])

    settled = _progress(fixtures, [fresh, queued, delivered, held], settled_only=True)
    driver.run_until_quiet()
    later = _progress(fixtures, [fresh, queued, delivered, held], settled_only=True)

    assert {delivered, held} == set(settled)
    assert {delivered, held, queued} == set(later)
    assert fixtures.case(held).case_id == settled[held].vetting_id


def test_retrying_and_unknown_recipients_count_as_settled(fixtures: Fixtures) -> None:
    message_id = fixtures.message(*fixtures.accounts(2))
    first, second = fixtures.recipient_ids(message_id)
    fixtures.run_sql("UPDATE recipient SET state = 'retrying' WHERE id = :id", id=first)
    fixtures.run_sql("UPDATE recipient SET state = 'unknown' WHERE id = :id", id=second)

    assert {message_id} == set(_progress(fixtures, [message_id], settled_only=True))


def test_a_message_is_read_only_by_its_own_client(fixtures: Fixtures) -> None:
    message_id = fixtures.message(fixtures.account(), type=MessageType.JOB)

    with transaction(fixtures.database) as db:
        mine = messages.message(db, message_id, client_id=fixtures.client_id)
        of_another = messages.message(db, message_id, client_id=fixtures.client())

    assert mine is not None
    assert (message_id, MessageType.JOB, fixtures.client_id) == (mine.message_id, mine.type, mine.client_id)
    assert of_another is None


def test_an_inbox_lists_only_its_own_letters_newest_first(fixtures: Fixtures, context: StepContext) -> None:
    mine, other = fixtures.account(), fixtures.account()
    first, second = fixtures.message(mine, other, subject="1"), fixtures.message(mine, subject="2")
    decide(context, [first])
    decide(context, [second])

    letters = _inbox(fixtures, mine, limit=10)

    assert [(second, "2", "Grace"), (first, "1", "Grace")] == [
        (letter.message_id, letter.subject, letter.sender_name) for letter in letters
    ]
    assert [first] == fixtures.inbox(other)


def test_pages_of_an_inbox_have_no_gap_or_overlap_even_at_one_instant(fixtures: Fixtures, context: StepContext) -> None:
    account_id = fixtures.account()
    for _ in range(3):
        decide(context, [fixtures.message(account_id) for _ in range(7)])
    fixtures.run_sql("UPDATE inbox_letter SET delivered_at = date_trunc('hour', delivered_at)")
    whole = _inbox(fixtures, account_id, limit=100)

    pages: list[InboxView] = []
    before: tuple[datetime, int] | None = None
    while page := _inbox(fixtures, account_id, limit=4, before=before):
        pages += page
        before = page[-1].delivered_at, page[-1].recipient_id

    assert whole == pages
    assert 21 == len({letter.message_id for letter in pages})


def test_an_inbox_letter_that_arrives_between_two_pages_shifts_nothing(
    fixtures: Fixtures, context: StepContext
) -> None:
    account_id = fixtures.account()
    for _ in range(4):
        decide(context, [fixtures.message(account_id)])
    old = _inbox(fixtures, account_id, limit=10)

    first = _inbox(fixtures, account_id, limit=2)
    decide(context, [fixtures.message(account_id)])
    second = _inbox(fixtures, account_id, limit=2, before=(first[-1].delivered_at, first[-1].recipient_id))

    assert old == first + second


def test_an_empty_inbox_differs_from_that_of_an_unknown_account(fixtures: Fixtures) -> None:
    account_id = fixtures.account()

    with transaction(fixtures.database) as db:
        assert [] == inbox.inbox(db, account_id, limit=10)
        assert inbox.inbox(db, uuid7(), limit=10) is None


def _progress(fixtures: Fixtures, message_ids: list[UUID], *, settled_only: bool = False) -> dict[UUID, Progress]:
    with transaction(fixtures.database) as db:
        return messages.progress(db, message_ids, settled_only=settled_only)


def _inbox(
    fixtures: Fixtures, account_id: UUID, *, limit: int, before: tuple[datetime, int] | None = None
) -> list[InboxView]:
    with transaction(fixtures.database) as db:
        return inbox.inbox(db, account_id, limit=limit, before=before) or []
