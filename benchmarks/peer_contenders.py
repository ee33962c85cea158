"""The peers as contenders: each has its own tables on the same server, filled by COPY, and its own way to publish."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg
import redis
from sqlalchemy import create_engine

from benchmarks.contenders import module, program
from benchmarks.peers.records import Base
from benchmarks.population import BODY, Order, Population
from benchmarks.processes import ROOT, BenchmarkServers, socket_of
from delivery.records.migrate import create_database
from tests.support.processes import run_to_end
from worker.embedded.servers import named_database

# Two processes each, for two cores; all else is as the library's manual proposes.
_CELERY = ("--loglevel", "ERROR", "--pool", "prefork", "--concurrency", "2")
_MESSAGE = "COPY message (id, client_id, sender_name, subject, body, type, open_count) FROM STDIN"
_RECIPIENT = "COPY recipient (message_id, account_id, position) FROM STDIN"


@dataclass(frozen=True, slots=True)
class Peer:
    """One peer. `module` is its file in `benchmarks/peers`, `method` what publishes a message ("" calls the task)."""

    name: str
    module: str
    method: str
    list_name: str
    command: tuple[str, ...]
    servers: BenchmarkServers
    smtp_port: int = 0
    channel: str = "inbox"
    settled_once: str = "settled_count = 1"
    is_open: str = "settled_count = 0"
    finished_at: str = "SELECT max(settled_at) FROM message"

    @property
    def url(self) -> str:
        """Its own database."""
        return named_database(self.servers.postgres.url, self._database)

    @property
    def _database(self) -> str:
        return f"{self.module}_{self.channel}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment of its programs."""
        broker_url = self.servers.valkey.url
        return {
            "DATABASE_URL": self.url,
            "REDIS_URL": broker_url,
            "CELERY_URL": f"redis+socket://{socket_of(broker_url)}?virtual_host=0",
            "SMTP_PORT": str(self.smtp_port),
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
        }

    def commands(self) -> list[tuple[str, ...]]:
        """Return the command line of its workers."""
        return [self.command]

    def seed(self, population: Population) -> None:
        """Make the tables and the accounts."""
        create_database(self.servers.postgres.url, self._database)
        engine = create_engine(self.url.replace("postgresql://", "postgresql+psycopg://"))
        Base.metadata.create_all(engine)
        engine.dispose()
        with psycopg.connect(self.url) as db:
            with db.cursor().copy("COPY account (id, email) FROM STDIN") as rows:
                for each in population.account_ids:
                    rows.write_row((each, f"{each.hex}@example.com"))
            with db.cursor().copy("COPY preference (account_id, channel, is_closed) FROM STDIN") as rows:
                for each in population.account_ids:
                    rows.write_row((each, self.channel, each in population.closed_ids))

    def take_in(self, orders: Sequence[Order]) -> None:
        """Store messages."""
        with psycopg.connect(self.url) as db:
            with db.cursor().copy(_MESSAGE) as rows:
                for order in orders:
                    count = len(order.account_ids)
                    rows.write_row((order.message_id, order.message_id, "Ada", "A translation", BODY, "job", count))
            with db.cursor().copy(_RECIPIENT) as rows:
                for order in orders:
                    for position, account_id in enumerate(order.account_ids):
                        rows.write_row((order.message_id, account_id, position))

    def hand_over(self, orders: Sequence[Order]) -> None:
        """Publish messages that are stored to the broker."""
        message_ids = [str(order.message_id) for order in orders]
        if self.module == "floor":
            with redis.Redis.from_url(self.servers.valkey.url) as broker:
                for start in range(0, len(message_ids), 1000):
                    broker.lpush(self.list_name, *message_ids[start : start + 1000])
            return
        work = json.dumps({"module": self.module, "method": self.method, "message_ids": message_ids})
        ended = run_to_end(module("benchmarks.peers.publish"), environment=self.environment, text=work)
        if ended.returncode:
            raise RuntimeError(f"{self.name} did not publish its messages: {ended.stderr}")


def textbook(servers: BenchmarkServers, *, channel: str = "inbox", smtp_port: int = 0) -> Peer:
    """Return Celery as its manual teaches it."""
    command = program("celery", "-A", "benchmarks.peers.textbook_celery", "worker", *_CELERY)
    return Peer("Celery, textbook", "textbook_celery", "delay", "celery", command, servers, smtp_port, channel)


def tuned(servers: BenchmarkServers) -> Peer:
    """Return Celery with the settings that its users tune."""
    options = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    command = program("celery", "-A", "benchmarks.peers.tuned_celery", "worker", *_CELERY, *options)
    return Peer("Celery, tuned", "tuned_celery", "delay", "celery", command, servers)


def with_dramatiq(servers: BenchmarkServers) -> Peer:
    """Return Dramatiq."""
    command = module("dramatiq", "benchmarks.peers.with_dramatiq", "--processes", "2", "--threads", "4")
    return Peer("Dramatiq", "with_dramatiq", "send", "dramatiq:default", command, servers)


def with_huey(servers: BenchmarkServers) -> Peer:
    """Return Huey."""
    options = ("--workers", "2", "--worker-type", "process", "--quiet")
    command = module("huey.bin.huey_consumer", "benchmarks.peers.with_huey.huey", *options)
    return Peer("Huey", "with_huey", "", "huey.redis.bench", command, servers)


def floor(servers: BenchmarkServers) -> Peer:
    """Return the hand-written loop."""
    return Peer("floor", "floor", "", "floor", module("benchmarks.peers.floor"), servers)


PEERS: tuple[Callable[[BenchmarkServers], Peer], ...] = (textbook, tuned, with_dramatiq, with_huey, floor)
