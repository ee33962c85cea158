"""The doctor warns before the broker's memory or the database's connections run out."""

import pytest
from pydantic import SecretStr

from delivery.records.identities.sealed_keys import SealedKeys
from delivery.records.views.connection_use import ConnectionUse, connection_use
from delivery.settings import Settings
from tasks.broker.broker_memory import BrokerMemory, read_memory
from tasks.health_checks import PARTS, Facts, broker_memory_left
from tasks.rule_checks import RulesInForce
from tests.support.fixtures import Fixtures


@pytest.mark.parametrize(
    ("memory", "severity"), [((79, 100), "ok"), ((80, 100), "warning"), ((80, 0), "ok"), (None, "ok")]
)
def test_a_broker_with_little_memory_left_is_a_warning(memory: tuple[int, int] | None, severity: str) -> None:
    result = broker_memory_left(BrokerMemory(*memory) if memory else None)

    assert severity == result.severity


@pytest.mark.usefixtures("broker")
def test_the_brokers_memory_is_read_and_a_broker_that_is_away_has_none(settings: Settings) -> None:
    memory = read_memory(settings)
    away = read_memory(settings.model_copy(update={"broker_url": SecretStr("redis://127.0.0.1:1/0")}))

    assert (True, None) == (memory is not None and memory.used_bytes > 0, away)


@pytest.mark.parametrize(("used", "severity"), [(79, "ok"), (80, "warning"), (100, "warning")])
def test_a_database_with_few_connections_left_is_a_warning(settings: Settings, used: int, severity: str) -> None:
    facts = Facts(settings, (), (), ConnectionUse(used, 100), (), SealedKeys(), RulesInForce())

    (result,) = [each for part in PARTS for each in part(facts) if each.name == "the database has connections left"]

    assert severity == result.severity


def test_connections_are_counted_with_this_one(fixtures: Fixtures) -> None:
    with fixtures.database.connect() as db:
        use = connection_use(db)

    assert 1 <= use.used <= use.limit
