"""Postroom as a contender: its own code stores the messages, rings the bells and processes them."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import cached_property
from itertools import cycle
from typing import Any, TypeVar
from uuid import UUID

from benchmarks.contenders import module
from benchmarks.population import BODY, Order, Population
from benchmarks.processes import BenchmarkServers
from delivery.intake.messages import Draft
from delivery.records.database import Database, open_database, transaction
from delivery.records.identities.accounts import AccountFacts
from delivery.records.migrate import create_database, migrate
from delivery.records.pipeline import accept
from delivery.records.pipeline.accept import IncomingMessage
from delivery.settings import Settings
from delivery.vocabulary import Channel, MessageType, QueueName, StepName
from tasks.broker.doorbell import BrokerDoorbell
from tasks.lanes import LaneName
from tests.support.seed import WITHOUT_LIMITS, add_accounts, add_client, environment_of
from worker.embedded.servers import named_database

_PEPPER = "pepper of the benchmarks, thirty-two characters"
_AT_ONCE = 200
# Everything is accepted long before the clock starts; with less grace the sweep would take it up.
GRACE_S = 3600.0
Each = TypeVar("Each")


class Postroom:
    """Postroom with so many worker processes, each as `postroom worker decide` starts it.

    Messages come from `client_ids` in turn.
    """

    settled_once = "open_count = 0 AND good_count = good AND decided_at IS NOT NULL"
    is_open = "open_count > 0"
    finished_at = "SELECT max(changed_at) FROM recipient"
    list_name = str(QueueName.DECIDE)
    lane = LaneName.DECIDE
    is_bare = False
    """True: its workers run without crash points, journal and liveness monitor."""

    def __init__(self, servers: BenchmarkServers, workers: int, **chosen: Any) -> None:
        self.name = f"Postroom, {workers} worker{'s' if workers > 1 else ''}"
        self.workers = workers
        self._servers = servers
        self._database = f"ours_{workers}"
        self._chosen = chosen
        self.client_ids: Sequence[UUID] = ()

    @property
    def url(self) -> str:
        """Its own database."""
        return named_database(self._servers.postgres.url, self._database)

    @cached_property
    def settings(self) -> Settings:
        """The settings of its processes."""
        return Settings.model_validate(self._values)

    @property
    def _values(self) -> dict[str, Any]:
        return {
            "database_url": self.url,
            "broker_url": self._servers.valkey.url,
            "smtp_url": "smtp://127.0.0.1:1",
            "pepper": _PEPPER,
            "bell_grace_s": GRACE_S,
            **WITHOUT_LIMITS,
            **self._chosen,
        }

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its processes."""
        return environment_of(self._values)

    def commands(self) -> list[tuple[str, ...]]:
        """Return the command lines of its workers."""
        command = (
            module("benchmarks.worker_without_recovery", self.lane)
            if self.is_bare
            else module("worker", "worker", self.lane)
        )
        return [command] * self.workers

    @cached_property
    def database(self) -> Database:
        """The database, for storing messages."""
        return open_database(self.settings, connections=1)

    def seed(self, population: Population, *, channel: Channel = Channel.INBOX) -> None:
        """Make the tables, the client and the accounts."""
        self.client_ids = (population.client_id,)
        create_database(self._servers.postgres.url, self._database)
        migrate(self.database)
        add_client(self.database, population.client_id)
        facts = [
            AccountFacts(
                each,
                f"Nr {each.hex[-8:]}",
                f"{each.hex}@example.com",
                channel=channel,
                is_closed=each in population.closed_ids,
            )
            for each in population.account_ids
        ]
        add_accounts(self.database, facts)

    def take_in(self, orders: Sequence[Order]) -> None:
        """Store messages in batches, as the API does with requests that arrive together."""
        senders = cycle(self.client_ids)
        for some in batches(orders, _AT_ONCE):
            incoming = [IncomingMessage(order.message_id, next(senders), _draft(order)) for order in some]
            with transaction(self.database) as db:
                accept.accept(db, incoming, grace=timedelta(seconds=GRACE_S))

    def hand_over(self, orders: Sequence[Order]) -> None:
        """Ring for these messages."""
        doorbell = BrokerDoorbell(self.settings)
        for some in batches(orders, _AT_ONCE):
            doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [order.message_id for order in some])
        doorbell.close()


def _draft(order: Order) -> Draft:
    return Draft(order.account_ids, "Ada Lovelace", "ada@example.com", "A translation", BODY, MessageType.JOB)


def batches(items: Sequence[Each], size: int) -> Iterator[Sequence[Each]]:
    """Divide a sequence into pieces of this size."""
    return (items[start : start + size] for start in range(0, len(items), size))
