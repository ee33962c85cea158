"""What the comparison of APIs needs: a durable PostgreSQL, Valkey, and one process for each API."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psutil
import psycopg
import redis
from uuid_utils.compat import uuid7

from benchmarks.processes import cpu_seconds, open_servers, running
from delivery.records.database import open_database
from delivery.records.identities.accounts import AccountFacts
from delivery.records.migrate import create_database, migrate
from delivery.settings import Settings
from tests.support.ports import free_port, is_page_served
from tests.support.seed import WITHOUT_LIMITS, add_accounts, add_client, add_credential, environment_of
from worker.embedded.servers import Server, named_database

_PEPPER = "pepper of the benchmarks, thirty-two characters"
_ACCOUNTS = 2000


@dataclass(frozen=True, slots=True)
class ApiServer:
    """A process that serves the endpoint, and the database that it alone writes to."""

    name: str
    port: int
    process: psutil.Process
    database_url: str
    key: str
    account_ids: list[str]

    def stored(self) -> tuple[int, int]:
        """Count the messages and the recipients that are stored."""
        with psycopg.connect(self.database_url) as db:
            counts = "SELECT count(*) FROM message UNION ALL SELECT count(*) FROM recipient"
            (messages,), (recipients,) = db.execute(counts).fetchall()
        return messages, recipients

    def empty(self) -> None:
        """Delete every message."""
        with psycopg.connect(self.database_url, autocommit=True) as db:
            db.execute("TRUNCATE recipient, message CASCADE")
            db.execute("CHECKPOINT")

    def cpu_seconds(self) -> float:
        """Return the processor time that the process has used."""
        return cpu_seconds(self.process)

    def memory_mib(self) -> float:
        """Return the memory that the process holds (RSS)."""
        return float(self.process.memory_info().rss) / 2**20


@dataclass(frozen=True, slots=True)
class ApiServers:
    """The servers, and both APIs."""

    ours: ApiServer
    textbook: ApiServer
    facts: dict[str, str]
    broker: "redis.Redis"
    _programs: list[psutil.Process]

    def cpu_seconds(self) -> float:
        """Return the processor time that all programs have used, without the load."""
        return sum(cpu_seconds(program) for program in self._programs)


@contextmanager
def open_api_servers() -> Iterator[ApiServers]:
    """Run the servers and both APIs until the block ends."""
    with ExitStack() as stack:
        servers = stack.enter_context(open_servers())
        apis = [
            stack.enter_context(_api(name, module, servers.postgres, servers.valkey))
            for name, module in {"ours": "api_stub", "textbook": "benchmarks.textbook_api"}.items()
        ]
        programs = [*servers.programs, *(api.process for api in apis)]
        yield ApiServers(apis[0], apis[1], servers.facts, servers.broker, programs)


@contextmanager
def _api(name: str, module: str, postgres: Server, valkey: Server) -> Iterator[ApiServer]:
    create_database(postgres.url, name)
    url = named_database(postgres.url, name)
    chosen: dict[str, Any] = {
        "database_url": url,
        "broker_url": valkey.url,
        "pepper": _PEPPER,
        **WITHOUT_LIMITS,
    }
    key, account_ids = _seed(Settings.model_validate(chosen))
    port = free_port()
    command = (sys.executable, "-m", module, "--port", str(port))
    with running(command, lambda: is_page_served(port, "/openapi.json"), environment=environment_of(chosen)) as process:
        yield ApiServer(name, port, process, url, key, account_ids)


def _seed(settings: Settings) -> tuple[str, list[str]]:
    """Store a client and accounts; return the key of the client and the ids of the accounts."""
    database = open_database(settings, connections=1)
    migrate(database)
    client_id = uuid7()
    facts = [AccountFacts(account_id=uuid7(), name=f"Nr {i}", email=f"nr{i}@example.com") for i in range(_ACCOUNTS)]
    add_client(database, client_id)
    credential = add_credential(database, client_id, settings.pepper)
    add_accounts(database, facts)
    database.dispose()
    return credential.text.get_secret_value(), [str(each.account_id) for each in facts]
