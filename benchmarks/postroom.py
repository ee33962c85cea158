"""Postroom as a contender: its own records take the messages in, its own doorbell rings, its own workers work."""

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
from delivery.records.identities import accounts, clients
from delivery.records.identities.accounts import AccountFacts
from delivery.records.migrate import create_database, migrate
from delivery.records.pipeline import accept
from delivery.records.pipeline.accept import IncomingMessage
from delivery.settings import Settings, environment_name
from delivery.vocabulary import Channel, MessageType, QueueName, Scope, StepName
from tasks.broker.doorbell import BrokerDoorbell
from tasks.lanes import LaneName
from worker.embedded.servers import named_database

_PEPPER = "pepper of the benchmarks, thirty-two characters"
_AT_ONCE = 200
_ENOUGH = 1_000_000_000
# Everything is accepted long before the clock starts; the sweep would take it for work whose bell was lost.
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
    """Set where its workers go without what reliability adds to them."""

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
        return Settings.model_validate(self._told)

    @property
    def _told(self) -> dict[str, Any]:
        return {
            "database_url": self.url,
            "broker_url": self._servers.valkey.url,
            "smtp_url": "smtp://127.0.0.1:1",
            "pepper": _PEPPER,
            "bell_grace_s": GRACE_S,
            "requests_per_minute": _ENOUGH,
            "recipients_per_minute": _ENOUGH,
            **self._chosen,
        }

    @property
    def environment(self) -> dict[str, str]:
        """What its processes are told."""
        return {environment_name(field): str(value) for field, value in self._told.items()}

    def commands(self) -> list[tuple[str, ...]]:
        """Its worker processes."""
        command = (
            module("benchmarks.worker_without_recovery", self.lane)
            if self.is_bare
            else module("worker", "worker", self.lane)
        )
        return [command] * self.workers

    @cached_property
    def database(self) -> Database:
        """The database, for taking messages in."""
        return open_database(self.settings, connections=1)

    def seed(self, population: Population, *, channel: Channel = Channel.INBOX) -> None:
        """Make the tables, the client and the accounts."""
        self.client_ids = (population.client_id,)
        create_database(self._servers.postgres.url, self._database)
        migrate(self.database)
        with transaction(self.database) as db:
            clients.put(db, population.client_id, "a client", scopes=tuple(Scope))
        for some in batches(population.account_ids, 1000):
            facts = [
                AccountFacts(
                    each,
                    f"Nr {each.hex[-8:]}",
                    f"{each.hex}@example.com",
                    channel=channel,
                    is_closed=each in population.closed_ids,
                )
                for each in some
            ]
            with transaction(self.database) as db:
                accounts.put(db, facts)

    def take_in(self, orders: Sequence[Order]) -> None:
        """Accept messages, as the door does for requests that come together."""
        senders = cycle(self.client_ids)
        for some in batches(orders, _AT_ONCE):
            arrivals = [IncomingMessage(order.message_id, next(senders), _draft(order)) for order in some]
            with transaction(self.database) as db:
                accept.accept(db, arrivals, grace=timedelta(seconds=GRACE_S))

    def hand_over(self, orders: Sequence[Order]) -> None:
        """Ring for these messages."""
        doorbell = BrokerDoorbell(self.settings)
        for some in batches(orders, _AT_ONCE):
            doorbell.ring(StepName.DECIDE, QueueName.DECIDE, [order.message_id for order in some])
        doorbell.close()


def _draft(order: Order) -> Draft:
    return Draft(order.account_ids, "Ada Lovelace", "ada@example.com", "A translation", BODY, MessageType.JOB)


def batches(items: Sequence[Each], size: int) -> Iterator[Sequence[Each]]:
    """Part a sequence into pieces of this size."""
    return (items[start : start + size] for start in range(0, len(items), size))
