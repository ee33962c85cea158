"""Connections and transactions: one engine for each process, opened by its entry point."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

import psycopg
from psycopg.errors import DeadlockDetected, IdleInTransactionSessionTimeout, LockNotAvailable
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from delivery.keepalives import IDLE_S, INTERVAL_S, PROBES, UNACKNOWLEDGED_MS
from delivery.settings import Settings

Database: TypeAlias = Engine
"""The database of this process, for modules that only pass it on."""

Transaction: TypeAlias = Connection
"""An open transaction, for modules that only pass it on."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

# The database cannot be used right now. Nothing was half-done, and the caller may try again later. PostgreSQL raises
# InternalError after it became read-only, in a failover.
DATABASE_UNAVAILABLE = (OperationalError, InterfaceError, InternalError, PoolTimeout)

_CONNECT_TIMEOUT_S = 2
_POOL_TIMEOUT_S = 2
# Between two statements of a transaction we need milliseconds. It is less than the margin of every lease.
_IDLE_TIMEOUT_MS = 10_000

SESSION_SETTINGS: Mapping[str, str | int] = {
    # It costs more than it gains in statements of a few milliseconds.
    "jit": "off",
    # A plan made while a table is empty reads the whole table, and is kept while the table grows: the first 100,000
    # recipients cost PostgreSQL five times as much.
    "enable_seqscan": "off",
    "timezone": "UTC",
    # A process that is frozen in a transaction (SIGSTOP, swap, a paused machine) would hold its rows, and block all
    # others, until it continues.
    "idle_in_transaction_session_timeout": _IDLE_TIMEOUT_MS,
    # PostgreSQL's end of the connection: the sessions of a host that vanished end with their locks, so that another
    # worker may take over. libpq's keepalives are our end only.
    "tcp_keepalives_idle": IDLE_S,
    "tcp_keepalives_interval": INTERVAL_S,
    "tcp_keepalives_count": PROBES,
    "tcp_user_timeout": UNACKNOWLEDGED_MS,
}
"""The settings of every session in PostgreSQL. A pooler that ignores `options` needs them at the role."""

# The API replies within two seconds that it cannot store anything (docs/contract.md, "Errors").
_RUN_TIMEOUT_S = 1.5
# Less than that, so that a request learns in time that another one holds the row it waits for.
_LOCK_TIMEOUT_MS = 700
# People wait longer for a page of the desk than clients for an answer. A commit that it cuts off has succeeded.
_PAGE_TIMEOUT_MS = 5_000
# How many calls of one caller run at once where callers take turns.
_TURNS = 2


class LockTimeout(Exception):  # noqa: N818 - a fact about another transaction
    """Another transaction holds a lock that this one needs, and did not release it in time. Nothing was done."""


# Any error of the database, also of a statement, for callers that can go on without its answer.
DATABASE_ERRORS = (SQLAlchemyError, LockTimeout)


def open_database(settings: Settings, *, connections: int) -> Database:
    """Open the database for a worker or a command, with at most this many connections."""
    return create_engine(make_url(settings.database_url.get_secret_value()), **_options(connections))


def open_page_database(settings: Settings, *, connections: int) -> Database:
    """Open the database for the pages of the desk. PostgreSQL ends what waits too long for a lock or a statement."""
    options = _options(connections)
    options["connect_args"]["options"] += f" -c lock_timeout={_LOCK_TIMEOUT_MS} -c statement_timeout={_PAGE_TIMEOUT_MS}"
    return create_engine(make_url(settings.database_url.get_secret_value()), **options)


def open_async_database(settings: Settings, *, connections: int, only_reads: bool = False) -> "AsyncDatabase":
    """Open the database for the API, with at most this many connections.

    With `only_reads` nothing can be written, and PostgreSQL ends a statement that no request waits for any more. Writes
    have no such limit: a commit that it cut off would seem to have failed, and may have succeeded.
    """
    options = _options(connections)
    options["connect_args"]["options"] += f" -c lock_timeout={_LOCK_TIMEOUT_MS}"
    if only_reads:
        options["connect_args"]["options"] += (
            f" -c default_transaction_read_only=on -c statement_timeout={int(_RUN_TIMEOUT_S * 1000)}"
        )
    return AsyncDatabase(create_async_engine(make_url(settings.database_url.get_secret_value()), **options))


def connect_once(settings: Settings) -> psycopg.Connection:
    """Open one connection beside all pools, without transactions. Raises `psycopg.OperationalError`."""
    url = make_url(settings.database_url.get_secret_value())
    _, named = PGDialect_psycopg().create_connect_args(url)  # type: ignore[no-untyped-call] # SQLAlchemy has not typed it
    return psycopg.connect(**named, **_options(1)["connect_args"], autocommit=True)


def _options(connections: int) -> dict[str, Any]:
    return {
        "pool_size": connections,
        "max_overflow": 0,
        "pool_timeout": _POOL_TIMEOUT_S,
        # Parameters hold addresses, subjects and bodies, which never reach a log or an error message.
        "hide_parameters": True,
        "connect_args": {
            "connect_timeout": _CONNECT_TIMEOUT_S,
            "application_name": "postroom",
            # Our end of the connection: libpq notices a broken network in about 15 s instead of hours.
            "keepalives_idle": IDLE_S,
            "keepalives_interval": INTERVAL_S,
            "keepalives_count": PROBES,
            "tcp_user_timeout": UNACKNOWLEDGED_MS,
            "options": " ".join(f"-c {name}={value}" for name, value in SESSION_SETTINGS.items()),
        },
    }


def answers(url: str) -> bool:
    """Check whether a database accepts connections at this URL right now."""
    engine = create_engine(make_url(url), connect_args={"connect_timeout": 1}, pool_size=1)
    try:
        engine.connect().close()
    except DATABASE_UNAVAILABLE:
        return False
    finally:
        engine.dispose()
    return True


@contextmanager
def transaction(database: Database) -> Iterator[Connection]:
    """Open a connection for a `with` block. Commit when the block ends, roll back when it raises.

    Raises one of `DATABASE_UNAVAILABLE`.
    """
    with _timeouts_as_outages(), database.begin() as db:
        yield db


def is_lock_timeout(error: BaseException) -> bool:
    """Check whether an error of `DATABASE_UNAVAILABLE` is only that another transaction kept a lock for too long."""
    return isinstance(getattr(error, "orig", None), LockNotAvailable | DeadlockDetected)


def disable_idle_timeout(db: Connection) -> None:
    """Let this one transaction be idle without limit, because it waits for another system."""
    db.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


@contextmanager
def _timeouts_as_outages() -> Iterator[None]:
    """Raise `OperationalError` when PostgreSQL ended a transaction that was idle for too long.

    psycopg raises an internal error for it (25P03), but nothing was done and the caller may try again.
    """
    try:
        yield
    except InternalError as error:
        if isinstance(error.orig, IdleInTransactionSessionTimeout):
            raise OperationalError(error.statement, None, error.orig, hide_parameters=True) from error
        raise


@contextmanager
def snapshot(database: Database, *, timeout: timedelta) -> Iterator[Connection]:
    """Open a read-only connection that sees one instant. Each statement may take up to `timeout`."""
    with database.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True) as db:
        # A check of all rows is faster when it reads whole tables.
        db.execute(text("SET LOCAL enable_seqscan = on"))
        db.execute(text(f"SET LOCAL statement_timeout = {int(timeout.total_seconds() * 1000)}"))
        yield db


class AsyncDatabase:
    """Runs record functions for asynchronous callers. Each call is one transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        # A caller is forgotten with its last call.
        self._turns: WeakValueDictionary[UUID, asyncio.Semaphore] = WeakValueDictionary()

    async def run(
        self,
        function: Callable[Concatenate[Connection, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Run a record function in a transaction of its own, commit, and return its result.

        Raises `LockTimeout`, one of `DATABASE_UNAVAILABLE`, or `TimeoutError` when there is no result within 1.5 s.
        """
        return await _within_time(self._run(lambda db: function(db, *args, **kwargs)))

    async def run_in_turn(
        self,
        caller: UUID,
        function: Callable[Concatenate[Connection, Parameters], Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Run a record function as `run` does, but at most two at once for this caller. Waiting counts as time."""
        turns = self._turns.setdefault(caller, asyncio.Semaphore(_TURNS))

        async def wait_and_run() -> Result:
            # A call that was given up keeps its turn until its connection is free again.
            async with turns:
                return await self._run(lambda db: function(db, *args, **kwargs))

        return await _within_time(wait_and_run())

    async def _run(self, function: Callable[[Connection], Result]) -> Result:
        try:
            with _timeouts_as_outages():
                async with self._engine.begin() as connection:
                    return await connection.run_sync(function)
        except OperationalError as error:
            if isinstance(error.orig, LockNotAvailable | DeadlockDetected):
                raise LockTimeout from error
            raise

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


async def _within_time(call: Coroutine[Any, Any, Result]) -> Result:
    running = asyncio.ensure_future(call)
    try:
        # Not asyncio.timeout(): psycopg ends a cancelled query only when the server has replied to it, which a
        # frozen server never does (measured).
        await asyncio.wait({running}, timeout=_RUN_TIMEOUT_S)
        if running.done():
            return running.result()
        raise TimeoutError(f"the database did not answer within {_RUN_TIMEOUT_S} s")
    finally:
        running.cancel()
        running.add_done_callback(_ignore_error)


def _ignore_error(running: "asyncio.Future[Result]") -> None:
    """Mark the error of an abandoned call as seen, so that asyncio does not log it."""
    if not running.cancelled():
        running.exception()
