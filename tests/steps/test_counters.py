"""The counters and the status that SQL keeps are always those that the rules compute."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from delivery.records.database import transaction
from delivery.records.pipeline import transitions
from delivery.rules.states import LEGAL_TRANSITIONS, OPEN_STATES, STATE_CLASSES, StateClass
from delivery.rules.status import reduce_status
from delivery.rules.transitions import Transition
from delivery.vocabulary import Channel, Reason, State, Status
from tests.support.fixtures import Fixtures
from tests.support.waiting import wait_until

_SOON = timedelta(minutes=1)


@pytest.mark.parametrize("seed", range(8))
def test_after_random_legal_transitions_counters_and_status_agree_with_the_rules(fixtures: Fixtures, seed: int) -> None:
    rng = random.Random(seed)
    message_ids = [fixtures.message(*fixtures.accounts(rng.randint(1, 25))) for _ in range(4)]
    sent_at = dict.fromkeys(message_ids)

    for _ in range(12):
        _apply(fixtures, _random_transitions(fixtures, message_ids, rng))

        for message_id in message_ids:
            _assert_consistent(fixtures, message_id)
            sent_at[message_id] = sent_at[message_id] or fixtures.view(message_id).sent_at
            assert sent_at[message_id] == fixtures.view(message_id).sent_at


def test_concurrent_transitions_of_one_message_are_all_counted(fixtures: Fixtures) -> None:
    message_id = fixtures.message(*fixtures.accounts(24))
    wanted = [
        Transition(recipient_id, message_id, State.ACCEPTED, after, 0, Channel.INBOX, due_in=due_in)
        for recipient_id, (after, due_in) in zip(
            fixtures.recipient_ids(message_id),
            [(State.DELIVERED, None), (State.BLOCKED, None), (State.QUEUED, _SOON)] * 8,
            strict=True,
        )
    ]
    start = threading.Barrier(6)

    def apply(part: list[Transition]) -> None:
        start.wait()
        for each in part:
            _apply(fixtures, [each])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(apply, [wanted[i::6] for i in range(6)]))

    assert (8, 8, Status.SENT) == fixtures.counters(message_id)
    assert 8 == fixtures.count("inbox_letter")


def test_concurrent_transitions_of_many_messages_in_any_order_do_not_deadlock(fixtures: Fixtures) -> None:
    message_ids = [fixtures.message(*fixtures.accounts(6)) for _ in range(12)]
    columns = list(zip(*(fixtures.recipient_ids(message_id) for message_id in message_ids), strict=True))
    start = threading.Barrier(6)

    def apply(number: int) -> int:
        wanted = [
            Transition(recipient_id, message_id, State.ACCEPTED, State.BLOCKED, 0)
            for recipient_id, message_id in zip(columns[number], message_ids, strict=True)
        ]
        random.Random(number).shuffle(wanted)
        start.wait()
        return len(_apply(fixtures, wanted))

    with ThreadPoolExecutor(6) as pool:
        applied = list(pool.map(apply, range(6)))

    assert [12] * 6 == applied
    assert {(0, 0, Status.REJECTED)} == {fixtures.counters(message_id) for message_id in message_ids}


def test_concurrent_transitions_of_the_same_recipients_change_each_recipient_once(fixtures: Fixtures) -> None:
    message_ids = [fixtures.message(*fixtures.accounts(10)) for _ in range(10)]
    wanted = [
        Transition(recipient_id, message_id, State.ACCEPTED, State.DELIVERED, 0, Channel.INBOX)
        for message_id in message_ids
        for recipient_id in fixtures.recipient_ids(message_id)
    ]
    start = threading.Barrier(6)

    def apply(number: int) -> int:
        shuffled = random.Random(number).sample(wanted, len(wanted))
        start.wait()
        return len(_apply(fixtures, shuffled))

    with ThreadPoolExecutor(6) as pool:
        applied = list(pool.map(apply, range(6)))

    assert 100 == sum(applied)
    assert {(0, 10, Status.SENT)} == {fixtures.counters(message_id) for message_id in message_ids}


def test_a_message_is_locked_before_its_recipients(fixtures: Fixtures) -> None:
    message_id = fixtures.message(fixtures.account())
    (recipient_id,) = fixtures.recipient_ids(message_id)
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    with ThreadPoolExecutor(1) as pool, transaction(fixtures.database) as db:
        db.execute(text("SELECT FROM message FOR NO KEY UPDATE"))
        applied = pool.submit(
            _apply, fixtures, [Transition(recipient_id, message_id, State.ACCEPTED, State.BLOCKED, 0)]
        )
        wait_until(lambda: fixtures.run_sql(waiting))

        db.execute(text("SELECT FROM recipient FOR NO KEY UPDATE NOWAIT"))
        db.commit()

        assert {recipient_id} == applied.result()


@pytest.mark.parametrize(("before", "attempt"), [(State.HELD, 0), (State.ACCEPTED, 1)])
def test_a_transition_from_another_state_or_attempt_changes_nothing(
    fixtures: Fixtures, before: State, attempt: int
) -> None:
    message_id = fixtures.message(fixtures.account())

    applied = _apply(
        fixtures,
        [
            Transition(
                fixtures.recipient(message_id).recipient_id, message_id, before, State.DELIVERED, attempt, Channel.INBOX
            )
        ],
    )

    assert (set(), (1, 0, Status.PENDING), 0) == (
        applied,
        fixtures.counters(message_id),
        fixtures.count("inbox_letter"),
    )


def test_only_changed_recipients_are_returned_and_counted(fixtures: Fixtures) -> None:
    message_id = fixtures.message(*fixtures.accounts(2))
    first, second = fixtures.recipient_ids(message_id)
    _apply(fixtures, [Transition(first, message_id, State.ACCEPTED, State.BLOCKED, 0)])

    applied = _apply(
        fixtures,
        [Transition(each, message_id, State.ACCEPTED, State.DELIVERED, 0, Channel.INBOX) for each in (first, second)],
    )

    assert ({second}, (0, 1, Status.SENT)) == (applied, fixtures.counters(message_id))


def _random_transitions(fixtures: Fixtures, message_ids: list[UUID], rng: random.Random) -> list[Transition]:
    """Return random legal transitions, some of them into `claimed`, for a third of the recipients."""
    drawn = []
    for message_id in message_ids:
        for each in fixtures.view(message_id).recipients:
            choices = sorted(LEGAL_TRANSITIONS[each.state])
            if not choices or rng.random() < 0.67:
                continue
            after = rng.choice(choices)
            drawn.append(
                Transition(
                    recipient_id=each.recipient_id,
                    message_id=message_id,
                    before=each.state,
                    after=after,
                    # Some are too late: their attempt is not the one of the row.
                    attempt=each.attempt + (rng.random() < 0.1),
                    channel=rng.choice([Channel.INBOX, Channel.EMAIL]),
                    reason=Reason.REFUSED_BY_STAFF if after is State.REFUSED else None,
                    due_in=_SOON if after in OPEN_STATES else None,
                )
            )
    return drawn


def _assert_consistent(fixtures: Fixtures, message_id: UUID) -> None:
    view = fixtures.view(message_id)
    classes = [STATE_CLASSES[each.state] for each in view.recipients]
    status = reduce_status([each.recipient_status for each in view.recipients]).status
    assert (classes.count(StateClass.OPEN), classes.count(StateClass.GOOD), status) == fixtures.counters(message_id)
    assert (StateClass.GOOD in classes) == (view.sent_at is not None)
    letters = fixtures.run_sql("SELECT recipient_id FROM inbox_letter WHERE message_id = :id", id=message_id)
    reached = {
        each.recipient_id for each in view.recipients if (each.state, each.channel) == (State.DELIVERED, Channel.INBOX)
    }
    assert reached == {row.recipient_id for row in letters}


def _apply(fixtures: Fixtures, wanted: list[Transition]) -> set[int]:
    with transaction(fixtures.database) as db:
        return transitions.apply_transitions(db, wanted)


def test_every_recipient_gets_its_own_detail_when_many_transitions_are_applied_together(fixtures: Fixtures) -> None:
    account_ids = fixtures.accounts(25)
    message_ids = [fixtures.message(*account_ids) for _ in range(50)]
    recipient_ids = [each for message_id in message_ids for each in fixtures.recipient_ids(message_id)]
    owner = {row.id: row.message_id for row in fixtures.run_sql("SELECT id, message_id FROM recipient")}
    wanted = [
        Transition(
            each,
            owner[each],
            State.ACCEPTED,
            State.REFUSED,
            0,
            reason=Reason.REFUSED_BY_RULE,
            detail=f"No. {each}",
        )
        for each in recipient_ids
    ]

    with transaction(fixtures.database) as db:
        applied = transitions.apply_transitions(db, wanted)

    details = {row.id: row.detail for row in fixtures.run_sql("SELECT id, detail FROM recipient")}
    assert set(recipient_ids) == applied
    assert {each: f"No. {each}" for each in recipient_ids} == details
    assert [(0, 0, "rejected")] * 50 == [fixtures.counters(message_id) for message_id in message_ids]


def test_a_decision_with_very_many_kinds_of_transitions_is_recorded_once(fixtures: Fixtures) -> None:
    message_id = fixtures.message(*fixtures.accounts(1100))
    wanted = [
        Transition(each, message_id, State.ACCEPTED, State.RETRYING, 0, Channel.INBOX, due_in=timedelta(seconds=at))
        for at, each in enumerate(fixtures.recipient_ids(message_id))
    ]

    with transaction(fixtures.database) as db:
        transitions.apply_decisions(db, [transitions.DecidedMessage(message_id, rule_set=7, text_key=-3)], wanted)

    (row,) = fixtures.run_sql("SELECT decided_at, vetting_id, rule_set, text_key FROM message")
    assert (None, 7, -3) == (row.vetting_id, row.rule_set, row.text_key)
    assert row.decided_at is not None
    assert {State.RETRYING} == set(fixtures.states(message_id))
    _assert_consistent(fixtures, message_id)
