"""A direct send stays in its Redis list until the database has it."""

import tracemalloc

import pytest
from pydantic import SecretStr
from redis import Redis

from delivery.intake.unreadable_tasks import HEAD_LIMIT_BYTES
from delivery.records.database import open_database, transaction
from delivery.records.pipeline import direct_send_lock
from delivery.settings import Settings
from tasks.broker.direct_queue import LISTS, DirectSendQueue
from tasks.context import StepContext
from tasks.steps.accept_direct import accept
from tests.support import build
from tests.support.direct_sends import codes, envelope, fields, reading, refusals
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingDoorbell
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("broker")


class WatchedQueue(DirectSendQueue):
    """A queue that counts how often it was read."""

    reads = 0

    def waiting(self) -> list[str]:
        """Read, and count it."""
        self.reads += 1
        return super().waiting()


def test_while_the_database_is_away_direct_sends_stay_in_redis(
    fixtures: Fixtures, token: str, context: StepContext, broker: Redis, bells: RecordingDoorbell
) -> None:
    away = context.settings.model_copy(update={"database_url": SecretStr("postgresql+psycopg://127.0.0.1:1/none")})
    closed = StepContext(context.settings, open_database(away, connections=1), bells)
    queue = WatchedQueue(context.settings)
    broker.lpush(LISTS[0], envelope(fields(fixtures.account(), token=token)))

    with reading(closed, queue):
        wait_until(lambda: queue.reads > 1)
        waiting = broker.llen(LISTS[0])
    with reading(context):
        wait_until(lambda: bells.rung)

    assert (1, 1) == (waiting, fixtures.count("message"))


def test_a_worker_that_crashes_between_storing_and_removing_does_no_harm(
    fixtures: Fixtures, token: str, context: StepContext, broker: Redis
) -> None:
    envelopes = [envelope(fields(fixtures.account(), token=token)), envelope(fields(build.account_id(), token=token))]
    accept(context, envelopes)  # The worker crashes here.

    broker.lpush(LISTS[0], *envelopes)
    with reading(context):
        wait_until(lambda: not broker.llen(LISTS[0]))

    assert (1, [["unknown_recipient"]]) == (fixtures.count("message"), codes(fixtures))


def test_a_second_send_for_one_message_is_left_until_the_result_of_the_first_is_known(
    fixtures: Fixtures, token: str, context: StepContext
) -> None:
    sent = fields(fixtures.account(), token=token)
    first, second = envelope(sent), envelope({**sent, "subject": "another"})

    done = accept(context, [first, second])

    assert ([first], 1, []) == (done, fixtures.count("message"), codes(fixtures))


def test_only_one_process_at_a_time_stores_direct_sends(fixtures: Fixtures, token: str, context: StepContext) -> None:
    raw = envelope(fields(fixtures.account(), token=token))

    with transaction(fixtures.database) as db:
        direct_send_lock.try_lock_direct_sends(db)
        while_another_has_it = accept(context, [raw])
    afterwards = accept(context, [raw])

    assert ([], [raw]) == (while_another_has_it, afterwards)


def test_a_send_pushed_after_the_broker_lost_everything_is_not_removed_unread(
    settings: Settings, broker: Redis
) -> None:
    queue = DirectSendQueue(settings)
    broker.lpush(LISTS[0], b"first", b"second", b"first")
    seen = queue.peek(LISTS[0])
    broker.flushdb()
    broker.lpush(LISTS[0], b"third", b"second")

    queue.remove(LISTS[0], seen)

    assert ([b"first", b"second", b"first"], [b"third"]) == (seen, broker.lrange(LISTS[0], 0, -1))
    queue.close()


def test_waiting_changes_nothing(settings: Settings, broker: Redis) -> None:
    queue = DirectSendQueue(settings)
    broker.lpush(LISTS[0], b"1", b"2", b"3")

    queue.wait(1.0)

    assert [b"3", b"2", b"1"] == broker.lrange(LISTS[0], 0, -1)
    queue.close()


def test_large_payloads_are_read_a_few_at_a_time(settings: Settings, broker: Redis) -> None:
    queue = DirectSendQueue(settings)
    broker.lpush(LISTS[0], b"x" * 5_000_000, *[b"y" * 1_500_000] * 3)

    first = queue.peek(LISTS[0])
    queue.remove(LISTS[0], first)

    assert ([5_000_000], [1_500_000] * 2) == (
        [len(each) for each in first],
        [len(each) for each in queue.peek(LISTS[0])],
    )
    queue.close()


def test_of_a_payload_that_is_too_long_only_the_beginning_is_read_and_it_can_be_removed(
    settings: Settings, broker: Redis
) -> None:
    queue = DirectSendQueue(settings)
    broker.lpush(LISTS[0], b"small", b"x" * 9_000_000, b"z" * 9_000_000, b"last")

    seen = []
    while found := queue.peek(LISTS[0]):
        seen.append([(each[:1], len(each)) for each in found])
        queue.remove(LISTS[0], found)

    cut = HEAD_LIMIT_BYTES + 1
    assert [[(b"s", 5)], [(b"x", cut)], [(b"z", cut)], [(b"l", 4)]] == seen
    queue.close()


def test_a_payload_that_is_too_long_is_removed_only_while_it_is_the_oldest(settings: Settings, broker: Redis) -> None:
    queue = DirectSendQueue(settings)
    broker.lpush(LISTS[0], b"x" * 9_000_000)
    seen = queue.peek(LISTS[0])
    broker.rpush(LISTS[0], b"older")

    queue.remove(LISTS[0], seen)

    assert [9_000_000, 5] == [len(each) for each in broker.lrange(LISTS[0], 0, -1)]
    queue.close()


@pytest.mark.parametrize("is_waiting", [False, True])
def test_reading_large_payloads_and_waiting_for_them_takes_little_memory(
    settings: Settings, broker: Redis, *, is_waiting: bool
) -> None:
    queue = DirectSendQueue(settings)
    broker.lpush(LISTS[0], *[b"x" * 15_000_000] * (2 if is_waiting else 8))

    tracemalloc.start()
    if is_waiting:
        queue.wait(1.0)
    else:
        queue.peek(LISTS[0])
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak_bytes < (1 if is_waiting else 4) * HEAD_LIMIT_BYTES
    queue.close()


def test_the_sender_of_a_send_that_is_too_long_sees_its_refusal(
    fixtures: Fixtures, token: str, context: StepContext, broker: Redis
) -> None:
    sent = fields(fixtures.account(), token=token)
    del sent["body"]
    sent["body"] = "a" * 7_000_000  # It comes last, so that the beginning names the sender.
    broker.lpush(LISTS[0], envelope(sent), envelope(fields(fixtures.account(), token=token)))

    with reading(context):
        wait_until(lambda: not broker.llen(LISTS[0]))

    (refusal,) = refusals(fixtures)
    assert (sent["message_uuid"], fixtures.client_id) == (str(refusal.message_id), refusal.client_id)
    assert (["too_long"], 1) == ([fault["code"] for fault in refusal.faults], fixtures.count("message"))


def test_a_key_that_is_no_list_breaks_nothing(
    context: StepContext, broker: Redis, fixtures: Fixtures, token: str
) -> None:
    broker.set(LISTS[0], "nonsense")
    queue = WatchedQueue(context.settings)

    with reading(context, queue):
        wait_until(lambda: queue.reads > 0)
        broker.delete(LISTS[0])
        broker.lpush(LISTS[0], envelope(fields(fixtures.account(), token=token)))
        wait_until(lambda: not broker.llen(LISTS[0]))

    assert 1 == fixtures.count("message")
