"""Direct sends with values as kombu writes them, and refusals that their senders see."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from celery import Celery
from redis import Redis

from delivery.records.database import transaction
from delivery.records.pipeline import refused_sends
from delivery.vocabulary import QueueName, State
from tasks.app import celery_url
from tasks.broker.direct_queue import LISTS
from tasks.context import StepContext
from tests.support.direct_sends import envelope, fields, reading, refusals
from tests.support.fixtures import Fixtures
from tests.support.waiting import wait_until


def read_all(context: StepContext, broker: Redis) -> None:
    """Run a reader until it has stored or refused each task."""
    with reading(context):
        wait_until(lambda: not any(broker.llen(name) for name in LISTS))


def test_a_client_that_passes_uuids_of_python_sends_a_message(
    fixtures: Fixtures, token: str, context: StepContext, broker: Redis
) -> None:
    message_id, account_id = uuid4(), fixtures.account()
    app = Celery(broker=celery_url(context.settings))
    sent = fields(token=token, message_uuid=message_id, recipient_uuids=[account_id], sent_at=datetime.now(UTC))

    app.send_task("messages.accept", queue="accept", kwargs=sent)
    app.close()
    read_all(context, broker)

    assert ([State.ACCEPTED], []) == (fixtures.states(message_id), refusals(fixtures))


def test_the_refusal_of_an_unreadable_task_is_seen_by_the_sender_that_it_names(
    fixtures: Fixtures, token: str, context: StepContext, broker: Redis
) -> None:
    sent = fields(fixtures.account(), token=token)
    forged = fields(fixtures.account(), token=token[:-3] + "AAA")

    for each in (sent, forged):
        broker.lpush(QueueName.ACCEPT, envelope(each, positional=["a"]))
    read_all(context, broker)

    with transaction(fixtures.database) as db:
        found, found_forged = (
            refused_sends.find(db, UUID(each["message_uuid"]), fixtures.client_id) for each in (sent, forged)
        )
    assert found is not None
    assert (["invalid_request"], None) == ([fault["code"] for fault in found.faults], found_forged)
    assert {fixtures.client_id, None} == {each.client_id for each in refusals(fixtures)}
