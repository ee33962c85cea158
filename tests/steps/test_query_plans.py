"""The frequent statements find their rows by index, even when the tables hold very many settled rows.

PostgreSQL may have statistics from a time without open rows (docs/design.md, "Traps"), and after a few
executions it may plan without knowing the values. Both plans are checked.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr
from sqlalchemy import text
from uuid_utils.compat import uuid7

from delivery.intake.account_files import AccountRow
from delivery.records.database import Database, open_database, transaction
from delivery.records.identities import account_batches, accounts, unsubscriptions
from delivery.records.pipeline import claims, due, transitions, vetting_cases
from delivery.records.rule_sets import history
from delivery.records.views import inbox, message_list, messages
from delivery.records.views.message_list import MessageFilter
from delivery.records.workers import deaths, registry
from delivery.records.workers.registry import WorkerIdentity
from delivery.rules.transitions import Transition
from delivery.settings import Settings
from delivery.vocabulary import Channel, State, Status
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.deliver import deliver
from tasks.steps.expire_leases import expire_leases
from tasks.steps.review import decide_case, expire_reviews
from tasks.steps.vet import vet
from tests.steps.conftest import HELD_PHRASE
from tests.support import build
from tests.support.fixtures import Fixtures
from tests.support.large_data import BACKLOG
from tests.support.query_plans import (
    TABLES,
    assert_by_index,
    assert_by_key,
    assert_in_order,
    nodes,
    plan_without_values,
    scans_of,
    without_key,
)
from tests.support.servers import Servers
from tests.support.statements import counted
from tests.support.step_driver import RecordingDoorbell, RecordingSender


@pytest.fixture
def busy_context(context: StepContext, large_database: Database) -> StepContext:
    """Return a step context on the large database."""
    return replace(
        context, database=large_database, doorbell=RecordingDoorbell(), senders={Channel.EMAIL: RecordingSender()}
    )


def test_accept_finds_its_rows_by_key(large_fixtures: Fixtures) -> None:
    incoming_messages = [large_fixtures.incoming(*large_fixtures.accounts(5)) for _ in range(5)]

    with counted(large_fixtures.database) as statements:
        large_fixtures.accept(*incoming_messages)

    assert_by_key(large_fixtures.database, statements)


def test_decide_finds_its_rows_by_key(large_fixtures: Fixtures, busy_context: StepContext) -> None:
    message_ids = [large_fixtures.message(*large_fixtures.accounts(3)) for _ in range(5)]

    with counted(large_fixtures.database) as statements:
        decide(busy_context, message_ids)

    assert_by_key(large_fixtures.database, statements)


def test_transitions_of_one_and_of_many_recipients_find_their_rows_by_key(large_fixtures: Fixtures) -> None:
    message_ids = [large_fixtures.message(*large_fixtures.accounts(10)) for _ in range(50)]
    wanted = [
        Transition(recipient_id, message_id, State.ACCEPTED, State.BLOCKED, 0)
        for message_id in message_ids
        for recipient_id in large_fixtures.recipient_ids(message_id)
    ]

    with counted(large_fixtures.database) as statements:
        for part in (wanted[:1], wanted[1:]):
            with transaction(large_fixtures.database) as db:
                transitions.apply_transitions(db, part)

    assert_by_key(large_fixtures.database, statements)


def test_claim_and_deliver_find_their_rows_by_key(large_fixtures: Fixtures, busy_context: StepContext) -> None:
    message_ids = [large_fixtures.message(*large_fixtures.accounts(3, Channel.EMAIL)) for _ in range(5)]
    decide(busy_context, message_ids)
    recipient_ids = [each for message_id in message_ids for each in large_fixtures.recipient_ids(message_id)]

    with counted(large_fixtures.database) as statements:
        deliver(busy_context, recipient_ids[:1])
        deliver(busy_context, recipient_ids[1:])

    assert_by_key(large_fixtures.database, statements)


def test_expiring_leases_finds_its_rows_by_index(large_fixtures: Fixtures, busy_context: StepContext) -> None:
    message_id = large_fixtures.message(large_fixtures.account(Channel.EMAIL))
    decide(busy_context, [message_id])
    with transaction(large_fixtures.database) as db:
        claims.claim(db, large_fixtures.recipient_ids(message_id), token=uuid7(), lease=timedelta(0))

    with counted(large_fixtures.database) as statements:
        expire_leases(busy_context, large_fixtures.recipient_ids(message_id))

    assert_by_index(large_fixtures.database, statements)


def test_recovering_a_worker_and_releasing_find_their_rows_by_index(
    large_fixtures: Fixtures, busy_context: StepContext
) -> None:
    message_id = large_fixtures.message(large_fixtures.account(Channel.EMAIL))
    decide(busy_context, [message_id])
    worker_id = uuid4()
    with transaction(large_fixtures.database) as db:
        claims.claim(
            db, large_fixtures.recipient_ids(message_id), token=claims.make_token(worker_id), lease=timedelta(hours=1)
        )
        registry.heartbeat(db, WorkerIdentity(worker_id, "here", 1, ("decide",)))

    with counted(large_fixtures.database) as statements, transaction(large_fixtures.database) as db:
        ((attempt, _),) = claims.under_way(db, worker_id)
        claims.count_deaths(db, [attempt.recipient_id])
        deaths.begin_trying(db, worker_id, [message_id])
        deaths.mark_dead(db, worker_id)
        deaths.parked(db, limit=20)
        deaths.release(db, message_id)

    assert_by_index(large_fixtures.database, statements)


@pytest.mark.parametrize(
    ("due_in", "state", "most_rows"), [("1 hour", State.RETRYING, 0), ("-1 hour", State.QUEUED, 100_000)]
)
def test_the_sweep_reads_no_row_that_is_due_later_and_skips_rows_with_a_bell_within_the_index(
    large_fixtures: Fixtures, due_in: str, state: State, most_rows: int
) -> None:
    """Check both cases. Reading 100,000 rows that wait for their bells in the index took 18 ms (25 November 2026)."""
    with large_fixtures.database.connect() as db, counted(large_fixtures.database) as statements:
        db.execute(text(BACKLOG), {"due_in": due_in, "state": state})
        rung_at = db.scalar(text("SELECT clock_timestamp() - INTERVAL '2 hours'"))
        found = due.waiting(db, Channel.EMAIL, limit=500, rung_at=rung_at)
        statement = statements[-1]
        ((rows,),) = db.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}", statement.values)
        db.rollback()

    (scan,) = [node for node in nodes(rows[0]["Plan"]) if node.get("Relation Name") == "recipient"]
    assert ([], "recipient_waiting_idx") == (found, scan["Index Name"])
    assert scan.get("Rows Removed by Filter", 0) <= most_rows


def test_vetting_and_review_find_their_rows_by_key(large_fixtures: Fixtures, busy_context: StepContext) -> None:
    approved, expired = (large_fixtures.message(large_fixtures.account(), subject=HELD_PHRASE) for _ in range(2))
    decide(busy_context, [approved, expired])

    with counted(large_fixtures.database) as statements:
        vet(busy_context, [approved, expired])
        decide_case(busy_context, large_fixtures.case(approved).case_id, build.APPROVED)
        large_fixtures.run_sql(
            "UPDATE vetting_case SET expires_at = clock_timestamp() WHERE message_id = :id", id=expired
        )
        expire_reviews(busy_context, [expired])

    assert_by_key(large_fixtures.database, statements)


def test_rules_ask_for_the_past_by_index(large_fixtures: Fixtures) -> None:
    sender = large_fixtures.account()
    mine = [
        large_fixtures.message(large_fixtures.account(), sender_email="grace@a.example", sender_account_id=account)
        for account in (sender, None)
    ]

    with counted(large_fixtures.database) as statements, transaction(large_fixtures.database) as db:
        found = history.histories(db, dict.fromkeys(mine, 7))

    assert set(mine) == set(found)
    assert_by_key(large_fixtures.database, statements)


def test_the_queries_of_the_sweep_find_their_rows_by_index(large_fixtures: Fixtures) -> None:
    with counted(large_fixtures.database) as statements, transaction(large_fixtures.database) as db:
        due.undecided(db, limit=500)
        due.unopened(db, limit=500)
        due.expired(db, limit=500)
        for channel in Channel:
            due.waiting(db, channel, limit=500)
            due.expired_leases(db, channel, limit=500)

    assert_by_index(large_fixtures.database, statements)


def test_reading_and_storing_accounts_find_their_rows_by_key(large_fixtures: Fixtures) -> None:
    account_ids = large_fixtures.accounts(5)
    named = frozenset({"status", "channel"})

    with counted(large_fixtures.database) as statements, transaction(large_fixtures.database) as db:
        facts = accounts.find(db, account_ids)
        accounts.put(db, facts)
        rows = [AccountRow(1, each.account_id, each.draft, each, named) for each in facts]
        account_batches.bring_in(db, rows, build.import_rules())
        unsubscriptions.find_subscription(db, account_ids[0])
        unsubscriptions.stop_emails(db, account_ids[0])
        unsubscriptions.undo_stop(db, account_ids[0])

    assert_by_key(large_fixtures.database, statements)


def test_postponing_finds_its_rows_by_key(large_fixtures: Fixtures) -> None:
    message_id = large_fixtures.message(large_fixtures.account())

    with counted(large_fixtures.database) as statements, transaction(large_fixtures.database) as db:
        due.postpone_messages(db, [message_id], timedelta(hours=1))
        due.postpone_recipients(db, [1, 2, 3], timedelta(hours=1))

    assert_by_key(large_fixtures.database, statements)


def test_reading_messages_and_inboxes_finds_rows_by_key(large_fixtures: Fixtures) -> None:
    account_id = large_fixtures.account()
    message_ids = [large_fixtures.message(account_id) for _ in range(5)]

    with counted(large_fixtures.database) as statements, transaction(large_fixtures.database) as db:
        messages.progress(db, message_ids)
        messages.progress(db, message_ids, settled_only=True)
        messages.message(db, message_ids[0])
        letters = inbox.inbox(db, account_id, limit=50)
        inbox.inbox(db, account_id, limit=50, before=(large_fixtures.view(message_ids[0]).created_at, 7))
        vetting_cases.find(db, uuid7())

    assert [] == letters
    assert_by_key(large_fixtures.database, statements)


def test_lists_of_messages_are_read_in_the_order_of_an_index(large_fixtures: Fixtures) -> None:
    """Check that no list reads what it does not show: neither other messages of the client nor all of them to sort."""
    now = datetime.now(UTC)
    ((client_id,),) = large_fixtures.run_sql("SELECT id FROM client WHERE name = 'old'")
    wanted = [MessageFilter(client_id, status, since) for status in (None, *Status) for since in (None, now)]

    with counted(large_fixtures.database) as statements, transaction(large_fixtures.database) as db:
        for each in wanted:
            message_list.messages(db, each, limit=50)
            message_list.messages(db, each, limit=50, before=(now, uuid7()))

    assert_by_key(large_fixtures.database, statements)
    assert_in_order(large_fixtures.database, statements)


def test_an_inbox_is_read_in_the_order_of_an_index(large_fixtures: Fixtures) -> None:
    account_id = large_fixtures.account()

    with counted(large_fixtures.database) as statements, transaction(large_fixtures.database) as db:
        inbox.inbox(db, account_id, limit=50)
        inbox.inbox(db, account_id, limit=50, before=(datetime.now(UTC), 7))

    assert_in_order(large_fixtures.database, [each for each in statements if "ORDER BY" in each.sql])


def test_a_plan_made_while_the_tables_were_empty_finds_rows_by_index(
    servers: Servers, base_settings: Settings, worker_number: int, context: StepContext
) -> None:
    """Check the plans of a new system. A connection keeps such a plan until statistics are taken, a minute later."""
    url = SecretStr(servers.create_database(f"fresh_{worker_number}"))
    database = open_database(base_settings.model_copy(update={"database_url": url}), connections=2)
    fresh = Fixtures(database)

    with counted(database) as statements:
        message_id = fresh.message(*fresh.accounts(3))
        decide(replace(context, database=database), [message_id])
        with transaction(database) as db:
            messages.progress(db, [message_id], settled_only=True)
    executed = [each for each in statements if "accepted" in each.sql or "FROM message" in each.sql]
    plans = [plan_without_values(database, each, as_connected=True) for each in executed]
    database.dispose()

    growing = TABLES - {"account", "preference"}
    scans = [node for plan in plans for node in scans_of(plan, growing)]
    assert scans
    assert [] == without_key(scans)
