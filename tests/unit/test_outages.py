"""Errors of the database are told apart, and no value of a statement is ever among the words."""

import psycopg
import pytest
import structlog
from psycopg.errors import ConnectionTimeout, ReadOnlySqlTransaction, TooManyConnections
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from delivery.outage_log import log_outage
from delivery.records.database import LockTimeout
from delivery.records.outages import Outage, OutageCause, explain_outage
from worker.cli.outage_sentences import outage_sentence

_AT = 'connection failed: connection to server at "127.0.0.1", port 5432 failed: '


def wrapped(error: Exception) -> OperationalError:
    """Return the error as SQLAlchemy raises it."""
    return OperationalError("INSERT", {"body": "a secret body"}, error)


@pytest.mark.parametrize(
    ("words", "cause"),
    [
        (f'{_AT}FATAL:  password authentication failed for user "postroom"', OutageCause.LOGIN),
        (f'{_AT}FATAL:  role "postrom" does not exist', OutageCause.LOGIN),
        (f"{_AT}fe_sendauth: no password supplied", OutageCause.LOGIN),
        (
            f'{_AT}FATAL:  no pg_hba.conf entry for host "10.0.0.3", user "p", database "p", SSL encryption',
            OutageCause.LOGIN,
        ),
        (
            f'{_AT}FATAL:  no pg_hba.conf entry for host "10.0.0.3", user "p", database "p", no encryption',
            OutageCause.TLS,
        ),
        (f"{_AT}server does not support SSL, but SSL was required", OutageCause.TLS),
        (f"{_AT}SSL error: certificate verify failed", OutageCause.TLS),
        (f'{_AT}FATAL:  database "postroom" does not exist', OutageCause.NO_DATABASE),
        (f"{_AT}FATAL:  sorry, too many clients already", OutageCause.TOO_MANY_CONNECTIONS),
        (
            f"{_AT}FATAL:  remaining connection slots are reserved for roles with the SUPERUSER",
            OutageCause.TOO_MANY_CONNECTIONS,
        ),
        (f"{_AT}FATAL:  the database system is starting up", OutageCause.STARTING),
        (f"{_AT}session is read-only", OutageCause.READ_ONLY),
        (f"{_AT}Connection refused\n\tIs the server running on that host?", OutageCause.UNREACHABLE),
        ('failed to resolve host "db1": [Errno -2] Name or service not known', OutageCause.UNREACHABLE),
        (f"{_AT}server closed the connection unexpectedly", OutageCause.UNREACHABLE),
        # PgBouncer 1.18.
        (f"{_AT}FATAL:  unsupported startup parameter: options", OutageCause.POOLER),
        (f"{_AT}FATAL:  no more connections allowed (max_client_conn)", OutageCause.TOO_MANY_CONNECTIONS),
        (f"{_AT}FATAL:  no such database: postroom", OutageCause.NO_DATABASE),
        (f"{_AT}FATAL:  query_wait_timeout", OutageCause.POOLER),
        (f"{_AT}FATAL:  server login has been failing, try again later (server_login_retry)", OutageCause.POOLER),
        ("words of a later version", OutageCause.OTHER),
    ],
)
def test_words_of_a_refused_connection_tell_the_cause(words: str, cause: OutageCause) -> None:
    outage = explain_outage(wrapped(psycopg.OperationalError(words)))

    assert (cause, " ".join(words.split())) == (outage.cause, outage.words)


@pytest.mark.parametrize(
    ("error", "cause", "sqlstate"),
    [
        (ConnectionTimeout("connection timeout expired"), OutageCause.UNREACHABLE, None),
        (TooManyConnections("x"), OutageCause.TOO_MANY_CONNECTIONS, "53300"),
        (ReadOnlySqlTransaction("x"), OutageCause.READ_ONLY, "25006"),
        (psycopg.errors.AdminShutdown("x"), OutageCause.STARTING, "57P01"),
        (psycopg.errors.DiskFull("x"), OutageCause.DISK_FULL, "53100"),
    ],
)
def test_a_code_of_the_server_tells_the_cause(error: psycopg.Error, cause: OutageCause, sqlstate: str | None) -> None:
    outage = explain_outage(wrapped(error))

    assert (cause, sqlstate) == (outage.cause, outage.sqlstate)


def test_what_has_no_error_of_the_server_is_slow() -> None:
    waited = LockTimeout()
    waited.__cause__ = wrapped(psycopg.errors.LockNotAvailable("x"))

    causes = [explain_outage(error).cause for error in (TimeoutError(), PoolTimeout(), waited)]

    assert [OutageCause.SLOW] * 3 == causes


def test_no_value_of_a_statement_is_among_the_words() -> None:
    """A class of errors that is not about the server may quote a value."""
    quoting = psycopg.errors.InvalidTextRepresentation('invalid input syntax for type uuid: "a secret body"')

    outage = explain_outage(wrapped(quoting))

    assert "secret" not in f"{outage} {outage_sentence(outage)}"


def test_the_words_are_logged_once_a_minute_and_the_cause_each_time() -> None:
    with structlog.testing.capture_logs() as logged:
        for _ in range(3):
            log_outage(wrapped(psycopg.OperationalError(f"{_AT}FATAL:  unsupported startup parameter: options")), ids=1)

    assert [OutageCause.POOLER] * 3 == [line["cause"] for line in logged]
    assert ["unsupported startup parameter" in line.get("words", "") for line in logged] == [True, False, False]


def test_every_cause_has_a_sentence_of_its_own() -> None:
    sentences = {outage_sentence(Outage(cause)) for cause in OutageCause}

    assert len(OutageCause) == len(sentences)
