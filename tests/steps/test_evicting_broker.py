"""A broker that may drop what waits when it is full is named by the doctor and in the log of the worker."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog
from pydantic import SecretStr
from redis import Redis, RedisError

from delivery.settings import Settings
from tasks.broker.broker_memory import BrokerMemory, read_memory
from tasks.check_results import Severity
from tasks.context import StepContext
from tasks.health_checks import broker_keeps_all
from tests.support.direct_sends import reading
from tests.support.fixtures import Fixtures
from tests.support.processes import running
from tests.support.step_driver import RecordingDoorbell
from tests.support.waiting import wait_until
from worker.embedded.servers import Server, prepare_valkey

Serve = Callable[[str], Settings]


@pytest.fixture(params=["noeviction", "allkeys-lru"])
def policy(request: pytest.FixtureRequest) -> str:
    """Return the policy of the broker."""
    return str(request.param)


@pytest.fixture
def own_settings(settings: Settings, tmp_path: Path, policy: str) -> Iterator[Settings]:
    """Yield settings with a broker of their own: the policy is that of a whole server."""
    server = prepare_valkey(tmp_path / "valkey")
    with running([*server.arguments, "--maxmemory-policy", policy], lambda: _answers(server), cwd=tmp_path):
        yield settings.model_copy(update={"broker_url": SecretStr(server.url)})


def test_it_is_a_warning_of_the_doctor_that_names_the_policy(own_settings: Settings, policy: str) -> None:
    result = broker_keeps_all(read_memory(own_settings))

    expected = Severity.OK if policy == "noeviction" else Severity.WARNING
    assert (expected, policy != "noeviction") == (result.severity, policy in result.advice)


def test_the_worker_logs_it_once(
    own_settings: Settings, policy: str, context: StepContext, fixtures: Fixtures, bells: RecordingDoorbell
) -> None:
    del fixtures
    own_context = StepContext(own_settings, context.database, bells)

    with structlog.testing.capture_logs() as lines, reading(own_context):
        wait_until(lambda: "postroom-letterbox" in {each["name"] for each in _clients(own_settings)})
        wait_until(lambda: policy == "noeviction" or "broker_evicts" in {line["event"] for line in lines})

    logged = [line["policy"] for line in lines if line["event"] == "broker_evicts"]
    assert ([] if policy == "noeviction" else [policy]) == logged


def test_a_broker_that_does_not_tell_is_no_warning() -> None:
    assert Severity.OK is broker_keeps_all(None).severity
    assert Severity.OK is broker_keeps_all(BrokerMemory(1, 2)).severity


def _clients(settings: Settings) -> list[dict[str, str]]:
    with Redis.from_url(settings.broker_url.get_secret_value()) as client:
        return list(client.client_list())


def _answers(server: Server) -> bool:
    with Redis.from_url(server.url) as client:
        try:
            return bool(client.ping())
        except RedisError:
            return False
