"""Settings that are well-formed and cannot work end a process with a sentence; a server that is away does not."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from delivery.records.database import Database
from delivery.records.server_check import check_database, check_version
from delivery.records.views.invariants import CheckScope
from delivery.setting_checks import UnusableSetting
from delivery.settings import Settings
from tasks.check_results import CheckResult, Severity
from tasks.health_checks import check
from tasks.start_checks import check_broker, check_start
from tests.support import build
from tests.support.certificates import make_certificate


@pytest.mark.parametrize("version_number", [90_624, 150_018, 159_999])
def test_a_server_before_postgresql_16_is_refused_with_its_version(version_number: int) -> None:
    with pytest.raises(UnusableSetting, match=rf"PostgreSQL {version_number // 10_000}, .* 16 or newer"):
        check_version(version_number)


@pytest.mark.parametrize("version_number", [160_000, 180_006])
def test_a_server_from_postgresql_16_on_is_taken(version_number: int) -> None:
    check_version(version_number)


def test_servers_that_work_let_a_process_start(base_settings: Settings) -> None:
    check_start(base_settings)


def test_a_database_that_is_away_is_no_wrong_setting() -> None:
    check_database(build.settings(database_url=SecretStr("postgresql://u:p@127.0.0.1:1/postroom")))


@pytest.mark.parametrize("options", ["?ssl_cert_reqs=perhaps", "?no_such_option=1", "?socket_timeout=soon"])
def test_an_option_that_the_redis_client_does_not_know_ends_the_start(options: str, base_settings: Settings) -> None:
    url = SecretStr(f"rediss://:TOPSECRET@127.0.0.1:1/0{options}")

    with pytest.raises(SystemExit, match="BROKER_URL has an option") as refused:
        check_start(base_settings.model_copy(update={"broker_url": url}))

    assert "TOPSECRET" not in str(refused.value)


@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile"])
def test_a_file_of_the_broker_that_cannot_be_read_is_refused(option: str, tmp_path: Path) -> None:
    no_certificate = tmp_path / "plain.txt"
    no_certificate.write_text("hello")

    for path in (tmp_path / "absent.pem", no_certificate):
        with pytest.raises(UnusableSetting, match="BROKER_URL names a file that cannot be read as PEM"):
            check_broker(build.settings(broker_url=SecretStr(f"rediss://127.0.0.1:1/0?{option}={path}")))


def test_a_file_of_the_broker_with_certificates_is_taken(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    options = f"ssl_ca_certs={made.path}&ssl_certfile={made.path}&ssl_keyfile={made.key}"

    check_broker(build.settings(broker_url=SecretStr(f"rediss://127.0.0.1:1/0?{options}")))


def test_the_doctor_reports_a_setting_with_which_no_process_of_its_kind_would_start(
    base_settings: Settings, database: Database
) -> None:
    wrong = base_settings.model_copy(update={"smtp_ca_file": "/no/such/ca.pem"})

    before, after = (_result_of(each, database) for each in (base_settings, wrong))

    assert Severity.OK is before.severity
    assert Severity.FAULT is after.severity
    assert "POSTROOM_SMTP_CA_FILE" in after.advice


def _result_of(settings: Settings, database: Database) -> CheckResult:
    results = check(settings, database, CheckScope(is_everything=True), timeout=timedelta(seconds=10))
    return next(each for each in results if "settings" in each.name)
