"""How the database is reached: one engine a process, made on first use by whoever runs the process."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeAlias, TypeVar

from psycopg.errors import DeadlockDetected, IdleInTransactionSessionTimeout, LockNotAvailable
from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from delivery.settings import Settings

Database: TypeAlias = Engine
"""The database of this process, for those who only hand it on."""

Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")

# The database cannot be asked right now. Whoever catches one of these tries later; nothing was half-done.
# InternalError is what PostgreSQL says after it became read-only, in a failover.
DATABASE_UNAVAILABLE = (OperationalError, InterfaceError, InternalError, PoolTimeout)

_CONNECT_TIMEOUT_S = 2
_POOL_TIMEOUT_S = 2
# Between two statements of a transaction of ours lie milliseconds. Less than the margin of every lease.
_IDLE_TIMEOUT_MS = 10_000
# The door says within two seconds that it cannot take anything in (CONTRACT.md section 5).
_ANSWER_TIMEOUT_S = 1.5
# A request that waits for a row which another one holds hears about it well within those.
_LOCK_TIMEOUT_MS = 700


class LockTimeout(Exception):  # noqa: N818 - a fact about another transaction
    """Another transaction holds what this one needs, and did not let go in time. Nothing was done."""


def open_database(settings: Settings, *, connections: int) -> Database:
    """Open the database for a worker or a command, with at most this many connections."""
    return create_engine(make_url(settings.database_url.get_secret_value()), **_options(connections))


def open_async_database(settings: Settings, *, connections: int) -> "AsyncDatabase":
    """Open the database for the door, with at most this many connections."""
    options = _options(connections)
    options["connect_args"]["options"] += f" -c lock_timeout={_LOCK_TIMEOUT_MS}"
    return AsyncDatabase(create_async_engine(make_url(settings.database_url.get_secret_value()), **options))


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
            # A partitioned peer is noticed in about 15 s instead of hours (libpq's keepalives and tcp_user_timeout).
            "keepalives_idle": 5,
            "keepalives_interval": 5,
            "keepalives_count": 2,
            "tcp_user_timeout": 15_000,
            # JIT costs more than it gives in statements of a few milliseconds. A plan made while a table was empty
            # would read all of it, and stay while it fills: the first 100,000 recipients cost PostgreSQL five times as
            # much. A process that froze in a transaction (SIGSTOP, swap, a paused machine) would hold its rows until
            # it wakes, and everybody else's work on them.
            "options": "-c jit=off -c enable_seqscan=off -c timezone=UTC"
            f" -c idle_in_transaction_session_timeout={_IDLE_TIMEOUT_MS}",
        },
    }


def answers(url: str) -> bool:
    """Say whether a database answers at this address right now."""
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
    """Open a connection; commit when the block ends well, roll back when it raises."""
    with _timeouts_as_outages(), database.begin() as db:
        yield db


def disable_idle_timeout(db: Connection) -> None:
    """Let this one transaction idle for as long as it likes, because it waits for somebody outside."""
    db.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))


@contextmanager
def _timeouts_as_outages() -> Iterator[None]:
    """Tell whoever slept through the end of a transaction what it is: nothing was done, and it may be tried again.

    psycopg counts this end of a connection (25P03) among the internal errors.
    """
    try:
        yield
    except InternalError as error:
        if isinstance(error.orig, IdleInTransactionSessionTimeout):
            raise OperationalError(error.statement, None, error.orig, hide_parameters=True) from error
        raise


@contextmanager
def snapshot(database: Database, *, timeout: timedelta) -> Iterator[Connection]:
    """Open a connection that sees one instant and can write nothing; a statement may take this long."""
    with database.connect().execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True) as db:
        # Whoever looks at everything had better read whole tables.
        db.execute(text("SET LOCAL enable_seqscan = on"))
        db.execute(text(f"SET LOCAL statement_timeout = {int(timeout.total_seconds() * 1000)}"))
        yield db


class AsyncDatabase:
    """The same record functions for asynchronous callers: each call is one transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def run(
        self, question: Callable[Concatenate[Connection, Asked], Answer], *args: Asked.args, **kwargs: Asked.kwargs
    ) -> Answer:
        """Run a record function in a transaction of its own and commit.

        Raises `Contended`, one of `STORE_UNAVAILABLE`, or `TimeoutError` when there is no answer within 1.5 s.
        """
        asking = asyncio.ensure_future(self._ask(lambda db: question(db, *args, **kwargs)))
        try:
            # Not asyncio.timeout(): psycopg does not let go of a cancelled query before the server has answered it,
            # and a server that froze never does (measured).
            await asyncio.wait({asking}, timeout=_ANSWER_TIMEOUT_S)
            if asking.done():
                return asking.result()
            raise TimeoutError(f"the database did not answer within {_ANSWER_TIMEOUT_S} s")
        finally:
            asking.cancel()
            asking.add_done_callback(_hear_out)

    async def _ask(self, question: Callable[[Connection], Answer]) -> Answer:
        try:
            with _timeouts_as_outages():
                async with self._engine.begin() as connection:
                    return await connection.run_sync(question)
        except OperationalError as error:
            if isinstance(error.orig, LockNotAvailable | DeadlockDetected):
                raise LockTimeout from error
            raise

    async def close(self) -> None:
        """Give all connections back."""
        await self._engine.dispose()


def _hear_out(asking: "asyncio.Future[Answer]") -> None:
    """Let a question that nobody waits for any more fail in silence."""
    if not asking.cancelled():
        asking.exception()
