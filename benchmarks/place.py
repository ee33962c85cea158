"""The place where doors are compared: PostgreSQL that is durable, Valkey, and one process for each door."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import psycopg
import redis
from uuid_utils.compat import uuid7

from delivery.credentials import mint
from delivery.records import accounts, clients
from delivery.records.accounts import AccountFacts
from delivery.records.engine import answers, open_store, transaction
from delivery.records.migrating import create_database, migrate
from delivery.settings import Settings, environment_name
from delivery.vocabulary import CredentialKind, Scope
from worker.embedded import Server, named_database, prepare_postgres, prepare_valkey

_ROOT = Path(__file__).resolve().parent.parent
_PEPPER = "pepper of the benchmarks, thirty-two characters"
_ACCOUNTS = 2000
_START_TICKS, _TICK_S = 1200, 0.05
_STOP_TIMEOUT_S = 20
_ENOUGH = 1_000_000_000
_FACTS = ("server_version", "fsync", "synchronous_commit")


@dataclass(frozen=True, slots=True)
class Door:
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
        return _cpu_seconds(self.process)

    def memory_mib(self) -> float:
        """Say how much memory the process holds."""
        return float(self.process.memory_info().rss) / 2**20


@dataclass(frozen=True, slots=True)
class Place:
    """The servers, and both doors."""

    ours: Door
    textbook: Door
    facts: dict[str, str]
    broker: "redis.Redis"
    _programs: list[psutil.Process]

    def cpu_seconds(self) -> float:
        """Say how much processor time our programs have used, the load aside."""
        return sum(_cpu_seconds(program) for program in self._programs)


@contextmanager
def open_place() -> Iterator[Place]:
    """Start everything in a temporary folder, and stop it again."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="postroom-bench-")))
        postgres, valkey = prepare_postgres(folder / "postgres"), prepare_valkey(folder / "valkey")
        programs = [
            stack.enter_context(_serving(postgres, lambda: answers(postgres.url), signal.SIGINT)),
            stack.enter_context(_serving(valkey, lambda: Path(_socket_of(valkey.url)).exists(), signal.SIGTERM)),
        ]
        broker = stack.enter_context(redis.Redis.from_url(valkey.url))
        doors = [
            stack.enter_context(_door(name, module, postgres, valkey))
            for name, module in {"ours": "api_stub", "textbook": "benchmarks.textbook_door"}.items()
        ]
        programs += [door.process for door in doors]
        yield Place(doors[0], doors[1], _facts(postgres), broker, programs)


@contextmanager
def _door(name: str, module: str, postgres: Server, valkey: Server) -> Iterator[Door]:
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
    port = _free_port()
    environment = {environment_name(field): str(value) for field, value in chosen.items()}
    command = (sys.executable, "-m", module, "--port", str(port))
    with _running(command, lambda: _greets(port), environment=environment) as process:
        yield Door(name, port, process, url, key, account_ids)


def _furnish(settings: Settings) -> tuple[str, list[str]]:
    """Make the tables, a client and accounts. Answers the client's key and the accounts."""
    store = open_store(settings, connections=1)
    migrate(store)
    client_id, minted = uuid7(), mint(CredentialKind.API_KEY, settings.pepper)
    facts = [AccountFacts(account_id=uuid7(), name=f"Nr {i}", email=f"nr{i}@example.com") for i in range(_ACCOUNTS)]
    with transaction(store) as db:
        clients.put(db, client_id, "a client", scopes=tuple(Scope))
        clients.add_credentials(db, client_id, [minted])
        accounts.put(db, facts)
    store.dispose()
    return minted.text.get_secret_value(), [str(each.account_id) for each in facts]


@contextmanager
def _serving(server: Server, is_up: Callable[[], bool], farewell: signal.Signals) -> Iterator[psutil.Process]:
    with _running(server.arguments, is_up, user=server.user, farewell=farewell) as process:
        yield process


@contextmanager
def _running(
    command: Sequence[str],
    is_up: Callable[[], bool],
    *,
    user: str | None = None,
    environment: dict[str, str] | None = None,
    farewell: signal.Signals = signal.SIGTERM,
) -> Iterator[psutil.Process]:
    process = subprocess.Popen(
        command,
        user=user,
        cwd="/" if user else _ROOT,
        env={**os.environ, **(environment or {})},  # noqa: TID251 - what children inherit is no setting
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if environment is None else None,  # PostgreSQL tells of every checkpoint.
        start_new_session=True,
    )
    try:
        _await(process, is_up)
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(farewell)
        process.wait(_STOP_TIMEOUT_S)


def _await(process: "subprocess.Popen[bytes]", is_up: Callable[[], bool]) -> None:
    for _ in range(_START_TICKS):
        if is_up():
            return
        try:
            process.wait(_TICK_S)
        except subprocess.TimeoutExpired:
            continue
        break
    raise RuntimeError(f"{process.args!r} does not serve.")


def _greets(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/openapi.json", timeout=5):
            return True
    except (URLError, OSError):
        return False


def _facts(postgres: Server) -> dict[str, str]:
    with psycopg.connect(postgres.url) as db:
        rows = db.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", (list(_FACTS),))
        return {name: str(setting) for name, setting in rows}


def _cpu_seconds(process: psutil.Process) -> float:
    """Sum up a process and all its children, those that have ended included."""
    own = process.cpu_times()
    living = [_own_cpu_seconds(child) for child in process.children(recursive=True)]
    return float(own.user + own.system + own.children_user + own.children_system) + sum(living)


def _own_cpu_seconds(process: psutil.Process) -> float:
    try:
        own = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(own.user + own.system)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def _socket_of(url: str) -> str:
    return url.removeprefix("unix://").partition("?")[0]
