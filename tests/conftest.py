"""Fixtures of all tests: the servers of this run, and an empty database and broker of each test process."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog
from pydantic import SecretStr
from sqlalchemy import text

from delivery.records.database import Database, open_database, transaction
from delivery.records.migrate import migrate
from delivery.records.schema import METADATA
from delivery.settings import Settings
from tests.support.servers import Guardian, NotAvailable, Servers, prepare_template

_FOLDER = Path(__file__).parent
# These need no servers, so that they start at once.
_WITHOUT_SERVERS = (_FOLDER / "unit", _FOLDER / "shape")
_GUARDIAN = pytest.StashKey[Guardian]()
_SERVERS = pytest.StashKey[Servers | str]()
_CONNECTIONS = 8
# On tables with a handful of rows DELETE takes a tenth of the time of TRUNCATE.
# A trigger keeps security events and audit entries from being deleted; a superuser can switch it off for a transaction.
_EMPTY = text(
    "SET LOCAL session_replication_role = replica; DELETE FROM security_event; DELETE FROM audit_event;"
    " DELETE FROM audit_detail;"
    " SET LOCAL session_replication_role = origin; "
    + "; ".join(
        f"DELETE FROM {each.name}"
        for each in reversed(METADATA.sorted_tables)
        if each.name not in {"security_event", "audit_event", "audit_detail"}
    )
)
# All tests come from one address.
_UNLIMITED = {
    "refused_credentials_per_minute": 1_000_000,
    "unknown_recipients_per_hour": 1_000_000,
    "mails_per_address_per_hour": 0,
    "messages_per_account_per_hour": 0,
}
PEPPER = SecretStr("pepper of the tests, thirty-two characters")
SEALING_KEY = SecretStr("sealing key of the tests, thirty-two")


def pytest_configure(config: pytest.Config) -> None:
    """Start the servers, once for the whole run; the workers of pytest-xdist receive their addresses."""
    addresses = getattr(config, "workerinput", {}).get("servers")
    if addresses is not None:
        config.stash[_SERVERS] = Servers(**addresses) if isinstance(addresses, dict) else addresses
    elif not hasattr(config, "workerinput") and _needs_servers(config):
        _start_servers(config)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Pass the addresses of the servers to a worker of pytest-xdist."""
    servers = node.config.stash.get(_SERVERS, None)
    if isinstance(servers, Servers):
        node.workerinput["servers"] = {"postgres_url": servers.postgres_url, "valkey_url": servers.valkey_url}
    elif servers is not None:
        node.workerinput["servers"] = servers


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers and wait until they have ended."""
    guardian = config.stash.get(_GUARDIAN, None)
    if guardian is not None:
        guardian.dismiss()


def _needs_servers(config: pytest.Config) -> bool:
    if config.option.collectonly or config.option.help or config.option.version:
        return False
    paths = [(config.invocation_params.dir / arg.partition("::")[0]).resolve() for arg in config.args]
    return not all(any(path.is_relative_to(folder) for folder in _WITHOUT_SERVERS) for path in paths)


def _start_servers(config: pytest.Config) -> None:
    guardian = config.stash[_GUARDIAN] = Guardian()
    try:
        servers = guardian.await_servers()
        prepare_template(servers, _migrate)
    except NotAvailable as error:
        config.stash[_SERVERS] = str(error)
    else:
        config.stash[_SERVERS] = servers


def _migrate(url: str) -> None:
    database = open_database(_settings(database_url=SecretStr(url)), connections=1)
    migrate(database)
    database.dispose()


def _settings(**changes: Any) -> Settings:
    return Settings(**{"pepper": PEPPER, "sealing_key": SEALING_KEY, "step_pause_s": 3600.0, **_UNLIMITED, **changes})


@pytest.fixture(autouse=True)
def _restored_log_configuration() -> Iterator[None]:
    """Restore the configuration of logs: a command in this process sets one, to a stream that is closed afterwards."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def servers(pytestconfig: pytest.Config) -> Servers:
    """Return the servers of this run. Without their wheels a test is skipped locally and fails in CI."""
    found = pytestconfig.stash.get(
        _SERVERS, "This test needs servers, and this run has started none: it is in a folder without them."
    )
    if isinstance(found, Servers):
        return found
    if os.environ.get("CI"):  # noqa: TID251 - a question about the machine, no setting of Postroom
        pytest.fail(found)
    pytest.skip(found)


@pytest.fixture(scope="session")
def base_settings(servers: Servers, worker_number: int) -> Settings:
    """Return the settings of this test process, with a database and a key space of its own."""
    return _settings(
        database_url=SecretStr(servers.create_database(f"tests_{worker_number}")),
        broker_url=SecretStr(servers.broker_url(worker_number)),
        smtp_url=SecretStr("smtp://127.0.0.1:1"),
    )


@pytest.fixture(scope="session")
def worker_number(request: pytest.FixtureRequest) -> int:
    """Count the processes of this run from 0."""
    name: str = getattr(request.config, "workerinput", {}).get("workerid", "gw0")
    return int(name.removeprefix("gw"))


@pytest.fixture(scope="session")
def _open_database(base_settings: Settings) -> Iterator[Database]:
    database = open_database(base_settings, connections=_CONNECTIONS)
    yield database
    database.dispose()


@pytest.fixture
def database(_open_database: Database) -> Database:
    """Return the database of this test process, empty."""
    with transaction(_open_database) as db:
        db.execute(_EMPTY)
    return _open_database


@pytest.fixture
def broker(base_settings: Settings) -> Iterator["redis.Redis"]:
    """Yield a client of the broker's key space of this test process, empty."""
    client = redis.Redis.from_url(base_settings.broker_url.get_secret_value())
    client.flushdb()
    yield client
    client.close()
