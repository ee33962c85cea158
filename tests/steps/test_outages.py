"""Real refusals of a real server: each has its cause in the sentence of a command and in /readyz."""

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from chaos.fault_proxy import open_fault_proxy
from delivery.records.database import DATABASE_UNAVAILABLE, Database, open_database, transaction
from delivery.records.outages import OutageCause, explain_outage
from delivery.settings import Settings
from tests.support.fixtures import Fixtures
from tests.support.ports import free_port
from worker.cli.app import app


def cause_of(settings: Settings, url: str) -> OutageCause:
    """Connect there, and return why it fails."""
    database = open_database(settings.model_copy(update={"database_url": SecretStr(url)}), connections=1)
    with pytest.raises(DATABASE_UNAVAILABLE) as raised, transaction(database):
        pass
    database.dispose()
    return explain_outage(raised.value).cause


def test_a_database_that_does_not_exist(settings: Settings) -> None:
    url = settings.database_url.get_secret_value()

    assert OutageCause.NO_DATABASE == cause_of(settings, url.replace("/tests_", "/absent_"))


def test_a_role_that_does_not_exist(settings: Settings) -> None:
    url = settings.database_url.get_secret_value()

    assert OutageCause.LOGIN == cause_of(settings, url.replace("//postgres@", "//absent@"))


def test_a_port_that_nothing_listens_on(settings: Settings) -> None:
    assert OutageCause.UNREACHABLE == cause_of(settings, f"postgresql+psycopg://p@127.0.0.1:{free_port()}/p")


def test_a_server_without_the_tls_that_the_address_asks_for(settings: Settings) -> None:
    folder = settings.database_url.get_secret_value().partition("host=")[2]
    with open_fault_proxy(f"{folder}/.s.PGSQL.5432") as proxy:
        url = f"postgresql+psycopg://postgres@127.0.0.1:{proxy.port}/postgres?sslmode=require"

        assert OutageCause.TLS == cause_of(settings, url)


def test_a_role_that_has_no_connection_left(settings: Settings, fixtures: Fixtures) -> None:
    fixtures.run_sql("DROP ROLE IF EXISTS crowded")
    fixtures.run_sql("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
    url = settings.database_url.get_secret_value()

    try:
        assert OutageCause.TOO_MANY_CONNECTIONS == cause_of(settings, url.replace("//postgres@", "//crowded@"))
    finally:
        fixtures.run_sql("DROP ROLE crowded")


def test_a_command_says_what_is_wrong_in_the_words_of_the_server(settings: Settings, database: Database) -> None:
    del database
    url = settings.database_url.get_secret_value().replace("/tests_", "/absent_")

    result = CliRunner().invoke(app, ["queues"], env={"DATABASE_URL": url, "POSTROOM_PEPPER": "x" * 32})

    assert 3 == result.exit_code
    assert "has no database of this name" in result.stderr
    assert 'database "absent_' in result.stderr
