"""The doorbell pushes bells to a real Valkey, in the right queue and merged, and never blocks its caller."""

import base64
import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

import pytest
from celery import Celery
from pydantic import SecretStr
from redis import Redis
from uuid_utils.compat import uuid7

from chaos.fault_proxy import FaultProxy, open_fault_proxy
from delivery.crash_points import CrashPoint, arm
from delivery.settings import Settings
from delivery.vocabulary import Channel, QueueName, State, StepName
from tasks.app import make_app
from tasks.broker.bell_format import RUNG_AT, write_payload
from tasks.broker.doorbell import BrokerDoorbell
from tasks.context import StepContext
from tasks.runner import STEPS, register
from tests.support.fixtures import Fixtures
from tests.support.step_driver import RecordingSender
from tests.support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("broker")


@pytest.fixture
def app(settings: Settings) -> Iterator[Celery]:
    """Yield the Celery application of a process."""
    app = make_app(settings)
    yield app
    app.close()


@pytest.fixture
def proxy(settings: Settings) -> Iterator[FaultProxy]:
    """Yield a proxy before the broker that can be frozen."""
    with open_fault_proxy(_socket_of(settings)) as proxy:
        yield proxy


@pytest.fixture
def proxied_doorbell(settings: Settings, proxy: FaultProxy, worker_number: int) -> Iterator[BrokerDoorbell]:
    """Yield a doorbell that rings through the proxy."""
    url = SecretStr(f"redis://127.0.0.1:{proxy.port}/{worker_number}")
    doorbell = BrokerDoorbell(settings.model_copy(update={"broker_url": url}))
    yield doorbell
    proxy.let_flow()
    doorbell.close()


def test_a_bell_waits_in_its_queue_with_its_ids_and_its_time(settings: Settings, broker: Redis) -> None:
    message_id = uuid7()
    doorbell = BrokerDoorbell(settings)

    doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [message_id])
    doorbell.close()

    (bell,) = _bells(broker, QueueName.DECIDE)
    assert (StepName.DECIDE, [[str(message_id)]]) == (bell["headers"]["task"], _arguments(bell))
    rung_at = datetime.fromisoformat(bell["headers"][RUNG_AT])
    assert timedelta(0) <= datetime.now(UTC) - rung_at < timedelta(seconds=10)


@pytest.mark.parametrize(
    ("step", "queue_name", "ids"),
    [(StepName.DECIDE, QueueName.DECIDE, [str(uuid7())]), (StepName.DELIVER, QueueName.DELIVER_SMTP, [7, 2**62])],
)
def test_a_bell_is_exactly_what_celery_would_push(
    app: Celery, broker: Redis, step: StepName, queue_name: QueueName, ids: list[Any]
) -> None:
    rung_at = datetime.now(UTC)
    with app.producer_pool.acquire(block=True) as producer:
        headers = {RUNG_AT: rung_at.isoformat()}
        app.send_task(step, (ids,), queue=queue_name, producer=producer, retry=False, headers=headers)
    broker.lpush(queue_name, write_payload(step, queue_name, ids, rung_at=rung_at))

    (celery_bell, our_bell) = _bells(broker, queue_name)

    assert _comparable(celery_bell) == _comparable(our_bell)
    assert _arguments(celery_bell) == _arguments(our_bell)


def test_every_step_rings_in_its_own_queue(settings: Settings, broker: Redis) -> None:
    doorbell = BrokerDoorbell(settings)

    doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [uuid7()])
    doorbell.ring(StepName.VET, QueueName.VETTING, [uuid7()])
    doorbell.ring(StepName.DELIVER, QueueName.DELIVER_SMTP, [1])
    doorbell.close()

    rung = [QueueName.DECIDE, QueueName.VETTING, QueueName.DELIVER_SMTP]
    assert [1, 1, 1] == [broker.llen(name) for name in rung]


def test_the_broker_holds_only_lists_of_bells(settings: Settings, broker: Redis) -> None:
    """Check that no binding is kept: FLUSHALL would lose it, and all later bells with it."""
    doorbell = BrokerDoorbell(settings)

    doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [uuid7()])
    doorbell.close()

    assert [b"decide"] == list(broker.scan_iter())


def test_a_bell_without_ids_is_not_rung(settings: Settings, broker: Redis) -> None:
    doorbell = BrokerDoorbell(settings)

    doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [])
    doorbell.close()

    assert 0 == broker.llen(QueueName.DECIDE)


def test_bells_that_wait_for_a_slow_broker_are_merged(
    proxied_doorbell: BrokerDoorbell, proxy: FaultProxy, broker: Redis
) -> None:
    ids = [uuid7() for _ in range(1202)]
    proxied_doorbell.ring(StepName.DECIDE, QueueName.DECIDE, ids[:1])
    wait_until(lambda: broker.llen(QueueName.DECIDE) == 1)
    proxy.freeze()
    proxied_doorbell.ring(StepName.DECIDE, QueueName.DECIDE, ids[1:2])
    wait_until(proxied_doorbell._bells.empty)

    for each in ids[2:]:
        proxied_doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [each])
    proxied_doorbell.ring(StepName.DELIVER, QueueName.DELIVER_SMTP, [1, 2, 3])
    proxy.let_flow()
    wait_until(lambda: broker.llen(QueueName.DELIVER_SMTP) == 1)

    # The doorbell of another test, which a frozen broker blocked, may have pushed a bell late.
    bells = [part for (part,) in map(_arguments, _bells(broker, QueueName.DECIDE)) if set(part) <= set(map(str, ids))]
    assert [str(each) for each in ids] == [each for part in bells for each in part]
    assert [1, 1, 500, 500, 200] == [len(part) for part in bells]
    assert [[[1, 2, 3]]] == [_arguments(bell) for bell in _bells(broker, QueueName.DELIVER_SMTP)]


def test_a_frozen_broker_does_not_block_callers(proxied_doorbell: BrokerDoorbell, proxy: FaultProxy) -> None:
    proxy.freeze()
    started_at = monotonic()

    for _ in range(12_000):  # More than the doorbell keeps waiting.
        proxied_doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [uuid7()])

    assert monotonic() - started_at < 1.0


def test_an_unreachable_broker_does_not_block_callers_and_is_reported(settings: Settings) -> None:
    unreachable = settings.model_copy(update={"broker_url": SecretStr(f"redis://127.0.0.1:{_closed_port()}/0")})
    doorbell = BrokerDoorbell(unreachable)
    started_at = monotonic()

    for _ in range(100):
        doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [uuid7()])

    assert monotonic() - started_at < 0.5
    wait_until(lambda: not doorbell.is_ringing, within_s=5)
    doorbell.close()


def test_bells_are_pushed_again_soon_after_the_broker_is_back(settings: Settings) -> None:
    port = _closed_port()
    unreachable = settings.model_copy(update={"broker_url": SecretStr(f"redis://127.0.0.1:{port}/0")})
    doorbell = BrokerDoorbell(unreachable)
    doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [uuid7()])
    wait_until(lambda: not doorbell.is_ringing, within_s=5)

    with open_fault_proxy(_socket_of(settings), port):
        doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [uuid7()])

        wait_until(lambda: doorbell.is_ringing, within_s=5)
        doorbell.close()


def test_the_doorbell_notices_without_a_bell_that_the_broker_is_back(settings: Settings) -> None:
    port = _closed_port()
    unreachable = settings.model_copy(update={"broker_url": SecretStr(f"redis://127.0.0.1:{port}/0")})
    doorbell = BrokerDoorbell(unreachable)
    doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [uuid7()])
    wait_until(lambda: not doorbell.is_ringing, within_s=5)

    with open_fault_proxy(_socket_of(settings), port):
        wait_until(lambda: doorbell.is_ringing, within_s=5)
        doorbell.close()


def test_no_error_stops_the_doorbell(settings: Settings, broker: Redis) -> None:
    doorbell = BrokerDoorbell(settings)
    unwritable: Any = object()

    doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [unwritable])
    wait_until(lambda: not doorbell.is_ringing)
    wait_until(lambda: doorbell.is_ringing)
    doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [uuid7()])
    doorbell.close()

    assert 1 == broker.llen(QueueName.DECIDE)


@pytest.mark.parametrize("point", [CrashPoint.BELL_TAKEN, CrashPoint.BELL_UNFLUSHED, CrashPoint.BELL_PUBLISHED])
def test_after_a_cut_at_any_point_of_a_push_the_next_bell_is_pushed(
    settings: Settings, broker: Redis, tmp_path: Path, point: CrashPoint
) -> None:
    doorbell = BrokerDoorbell(settings)
    arm(f"{point}:1:cut:{tmp_path / 'mark'}")
    doorbell.ring(StepName.DELIVER, QueueName.DELIVER_SMTP, [1])
    wait_until((tmp_path / "mark").exists)
    arm("")

    doorbell.ring(StepName.DELIVER, QueueName.DELIVER_SMTP, [2])

    wait_until(lambda: [[2]] in map(_arguments, _bells(broker, QueueName.DELIVER_SMTP)))
    doorbell.close()


def test_bells_are_pushed_after_the_broker_lost_all_its_data(settings: Settings, broker: Redis) -> None:
    doorbell = BrokerDoorbell(settings)
    doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [uuid7()])
    wait_until(lambda: broker.llen(QueueName.DECIDE) == 1)
    broker.flushdb()

    doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [uuid7()])
    doorbell.close()

    assert 1 == broker.llen(QueueName.DECIDE)


@pytest.mark.parametrize(
    "ids",
    [
        None,
        [],
        {},
        "0199aaaa-0000-7000-8000-000000000000",
        [None, True, 1.5, -1, 0, 2**63, 2**70, "x", "1", [], {}, "{0199aaaa-0000-7000-8000-000000000000}"],
        [str(uuid7()), 999_999],
    ],
)
@pytest.mark.parametrize("step", list(STEPS))
def test_an_invalid_bell_changes_nothing(  # noqa: PLR0917 - pytest hands them in by name
    app: Celery, context: StepContext, relay: RecordingSender, fixtures: Fixtures, step: StepName, ids: object
) -> None:
    message_id = fixtures.message(fixtures.account(Channel.EMAIL))
    register(app, context)

    result = app.tasks[step].apply((ids,))

    assert result.successful()
    assert ([State.ACCEPTED], []) == (fixtures.states(message_id), relay.letters)


def test_the_valid_ids_of_an_invalid_bell_are_processed(context: StepContext, fixtures: Fixtures) -> None:
    message_id = fixtures.message(fixtures.account())

    STEPS[StepName.DECIDE].run_bell(context, ["nonsense", str(message_id).upper(), 7])

    assert [State.DELIVERED] == fixtures.states(message_id)


def _comparable(bell: dict[str, Any]) -> dict[str, Any]:
    """Return a bell without what differs for each bell, and without the reply queue, which is not used."""
    headers, properties = dict(bell["headers"]), dict(bell["properties"])
    assert headers["id"] == headers["root_id"] == properties["correlation_id"]
    assert len({UUID(headers["id"]), UUID(properties["delivery_tag"])}) == 2
    for name in ("id", "root_id", "argsrepr", "origin"):
        del headers[name]
    for name in ("correlation_id", "delivery_tag", "reply_to"):
        properties.pop(name, None)
    return {**bell, "headers": headers, "properties": properties}


def _socket_of(settings: Settings) -> str:
    return settings.broker_url.get_secret_value().removeprefix("unix://").partition("?")[0]


def _bells(broker: Redis, name: QueueName) -> list[Any]:
    """Read the bells of a queue, oldest first."""
    return [json.loads(each) for each in reversed(broker.lrange(name, 0, -1))]


def _arguments(bell: Any) -> Any:
    return json.loads(base64.b64decode(bell["body"]))[0]


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
