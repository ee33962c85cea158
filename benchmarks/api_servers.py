"""The place where doors are compared: PostgreSQL that is durable, Valkey, and one process for each door."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import psycopg
import redis
from uuid_utils.compat import uuid7

from benchmarks.processes import cpu_seconds, free_port, open_servers, running
from delivery.credentials import generate_credential
from delivery.records.database import open_database, transaction
from delivery.records.identities import accounts, clients
from delivery.records.identities.accounts import AccountFacts
from delivery.records.migrate import create_database, migrate
from delivery.settings import Settings, environment_name
from delivery.vocabulary import CredentialKind, Scope
from worker.embedded.servers import Server, named_database

_PEPPER = "pepper of the benchmarks, thirty-two characters"
_ACCOUNTS = 2000
_ENOUGH = 1_000_000_000


@dataclass(frozen=True, slots=True)
class ApiServer:
    """One process that serves the endpoint, and the database that it alone writes to."""

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
        """Throw every message away."""
        with psycopg.connect(self.database_url, autocommit=True) as db:
            db.execute("TRUNCATE recipient, message CASCADE")
            db.execute("CHECKPOINT")

    def cpu_seconds(self) -> float:
        """Say how much processor time the process has used."""
        return cpu_seconds(self.process)

    def memory_mib(self) -> float:
        """Say how much memory the process holds."""
        return float(self.process.memory_info().rss) / 2**20


@dataclass(frozen=True, slots=True)
class ApiServers:
    """The servers, and both doors."""

    ours: ApiServer
    textbook: ApiServer
    facts: dict[str, str]
    broker: "redis.Redis"
    _programs: list[psutil.Process]

    def cpu_seconds(self) -> float:
        """Say how much processor time our programs have used, the load aside."""
        return sum(cpu_seconds(program) for program in self._programs)


@contextmanager
def open_api_servers() -> Iterator[ApiServers]:
    """Start everything in a temporary folder, and stop it again."""
    with ExitStack() as stack:
        servers = stack.enter_context(open_servers())
        doors = [
            stack.enter_context(_door(name, module, servers.postgres, servers.valkey))
            for name, module in {"ours": "api_stub", "textbook": "benchmarks.textbook_api"}.items()
        ]
        programs = [*servers.programs, *(api.process for api in doors)]
        yield ApiServers(doors[0], doors[1], servers.facts, servers.broker, programs)


@contextmanager
def _door(name: str, module: str, postgres: Server, valkey: Server) -> Iterator[ApiServer]:
    create_database(postgres.url, name)
    url = named_database(postgres.url, name)
    chosen: dict[str, Any] = {
        "database_url": url,
        "broker_url": valkey.url,
        "pepper": _PEPPER,
        "requests_per_minute": _ENOUGH,
        "recipients_per_minute": _ENOUGH,
    }
    key, account_ids = _furnish(Settings.model_validate(chosen))
    port = free_port()
    environment = {environment_name(field): str(value) for field, value in chosen.items()}
    command = (sys.executable, "-m", module, "--port", str(port))
    with running(command, lambda: _greets(port), environment=environment) as process:
        yield ApiServer(name, port, process, url, key, account_ids)


def _furnish(settings: Settings) -> tuple[str, list[str]]:
    """Make the tables, a client and accounts. Answers the client's key and the accounts."""
    database = open_database(settings, connections=1)
    migrate(database)
    client_id, minted = uuid7(), generate_credential(CredentialKind.API_KEY, settings.pepper)
    facts = [AccountFacts(account_id=uuid7(), name=f"Nr {i}", email=f"nr{i}@example.com") for i in range(_ACCOUNTS)]
    with transaction(database) as db:
        clients.put(db, client_id, "a client", scopes=tuple(Scope))
        clients.add_credentials(db, client_id, [minted])
        accounts.put(db, facts)
    database.dispose()
    return minted.text.get_secret_value(), [str(each.account_id) for each in facts]


def _greets(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=5):
            return True
    except (URLError, OSError):
        return False
