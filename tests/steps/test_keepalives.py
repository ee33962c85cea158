"""A host that vanishes without a word is noticed at both ends of every connection of ours.

`make hosts` parts real hosts and waits. These tests check the times of each kind of connection.
"""

import asyncio
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from pydantic import SecretStr
from sqlalchemy import text

from api_stub.ratelimit.redis_counter import RedisSlidingWindow
from chaos.fault_proxy import open_fault_proxy
from delivery.channels.email.connection import Connection
from delivery.channels.email.relay import read_relay
from delivery.records.database import SESSION_SETTINGS, Database, open_async_database, open_database, transaction
from delivery.settings import Settings
from tasks.app import make_app
from tasks.broker.client import open_broker
from tests.support.processes import ROOT
from tests.support.smtp_server import open_smtp_server

_NAMES = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
_EXPECTED = {
    "SO_KEEPALIVE": 1,
    **{name: value for name, value in zip(_NAMES, (5, 5, 2, 15_000), strict=True) if hasattr(socket, name)},
}
_STORED = text("SELECT name, reset_val FROM pg_settings WHERE name = ANY(:names)")


def options_of(connected: socket.socket) -> dict[str, int]:
    """Read what the operating system keeps about this socket."""
    names = [name for name in _NAMES if hasattr(socket, name)]
    read = {name: connected.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names}
    return {"SO_KEEPALIVE": connected.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), **read}


@contextmanager
def over_tcp(settings: Settings) -> Iterator[Settings]:
    """Yield settings that reach both servers of the tests over TCP."""
    folder = settings.database_url.get_secret_value().partition("host=")[2]
    broker_socket = settings.broker_url.get_secret_value().removeprefix("unix://").partition("?")[0]
    with open_fault_proxy(f"{folder}/.s.PGSQL.5432") as database, open_fault_proxy(broker_socket) as broker:
        name = settings.database_url.get_secret_value().rpartition("/")[2].partition("?")[0]
        urls = {
            "database_url": SecretStr(f"postgresql+psycopg://postgres@127.0.0.1:{database.port}/{name}"),
            "broker_url": SecretStr(f"redis://127.0.0.1:{broker.port}/0"),
        }
        yield settings.model_copy(update=urls)


def session_settings(database: Database) -> dict[str, str]:
    """Read the settings of a session; on a unix socket PostgreSQL shows the times of TCP only as `reset_val`."""
    with transaction(database) as db:
        return {row.name: row.reset_val for row in db.execute(_STORED, {"names": list(SESSION_SETTINGS)})}


def test_postgresql_ends_the_sessions_of_a_host_that_vanished(database: Database) -> None:
    """PostgreSQL's own end: without it a session and its advisory lock stay for two hours."""
    found = session_settings(database)

    expected = {"tcp_keepalives_idle": "5", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "2"}
    assert expected | {"tcp_user_timeout": "15000"} == {name: found[name] for name in found if name.startswith("tcp_")}


def test_the_api_asks_postgresql_for_the_same(settings: Settings) -> None:
    """The API's connections have more settings, and these too."""

    async def read() -> dict[str, str]:
        database = open_async_database(settings, connections=1)
        rows = await database.run(lambda db: db.execute(_STORED, {"names": list(SESSION_SETTINGS)}).all())
        await database.close()
        return {row.name: row.reset_val for row in rows}

    assert "15000" == asyncio.run(read())["tcp_user_timeout"]


def test_a_database_that_vanished_is_noticed(settings: Settings) -> None:
    """Libpq's end of the connection."""
    with over_tcp(settings) as ours:
        database = open_database(ours, connections=1)
        with database.connect() as db:
            raw = db.connection.driver_connection
            assert raw is not None
            with socket.fromfd(raw.fileno(), socket.AF_INET, socket.SOCK_STREAM) as copied:
                found = options_of(copied)
        database.dispose()

    assert _EXPECTED == found


def test_a_broker_that_vanished_is_noticed_by_every_client_of_ours(settings: Settings) -> None:
    """The workers' own client, kombu's, and the API's counter of limits."""

    async def by_the_counter(url: str) -> dict[str, int]:
        pool: Any = RedisSlidingWindow(url)._pool
        connection = await pool.get_connection()
        try:
            return options_of(connection._writer.get_extra_info("socket"))
        finally:
            await connection.disconnect()

    with over_tcp(settings) as ours:
        with open_broker(ours) as client, make_app(ours).connection_for_read() as through_kombu:
            kinds = [by_a_client(client), by_a_client(through_kombu.default_channel.client)]
        kinds.append(asyncio.run(by_the_counter(ours.broker_url.get_secret_value())))

    assert [_EXPECTED] * 3 == kinds


def by_a_client(client: redis.Redis) -> dict[str, int]:
    """Open a connection of this client and read its socket's options."""
    connection: Any = client.connection_pool.make_connection()
    connection.connect()
    try:
        return options_of(connection._sock)
    finally:
        connection.disconnect()


def test_a_relay_that_vanished_is_noticed() -> None:
    """A connection in the pool waits for the next mail in silence."""
    with open_smtp_server() as server:
        connection = Connection(read_relay(SecretStr(server.url)), None, "example.org", 5.0)
        assert connection.smtp.sock is not None
        found = options_of(connection.smtp.sock)
        connection.quit()

    assert _EXPECTED == found


def test_the_page_for_operators_has_every_setting_that_a_pooler_drops() -> None:
    """Behind PgBouncer the role has to have what `options` would have set."""
    page = (ROOT / "docs" / "production.md").read_text(encoding="utf-8")

    found = dict(re.findall(r"^ALTER ROLE postroom SET (\w+) = '?(\w+)'?;$", page, re.MULTILINE))

    assert {name: str(value) for name, value in SESSION_SETTINGS.items()} == found
