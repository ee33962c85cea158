"""Signing keys and the key that seals them: seen where it does not open them, and changed without an outage."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from redis import Redis
from structlog.testing import capture_logs

from delivery.records.database import transaction
from delivery.records.identities import credentials, staff
from delivery.records.views.invariants import CheckScope
from delivery.sealing import open_sealed, seal
from delivery.settings import Settings
from delivery.staff_secrets import totp_name
from delivery.vocabulary import QueueName
from tasks.check_results import CheckResult, Severity
from tasks.context import StepContext
from tasks.health_checks import check
from tests.support.desk import add_staff
from tests.support.direct_sends import envelope, reading, signing_key
from tests.support.fixtures import Fixtures
from tests.support.waiting import wait_until
from worker.cli.app import app

NEW = "a new key that seals, 32 characters"
SENTENCE = "the sealing key opens all that it sealed"
Changed = Callable[..., Settings]


@pytest.fixture
def key(fixtures: Fixtures, settings: Settings) -> str:
    """Store a signing key, sealed under the settings of the tests; return its public prefix."""
    return signing_key(fixtures, settings)[:19]


@pytest.fixture
def changed(settings: Settings) -> Changed:
    """Return a function that makes settings with other sealing keys."""

    def change(present: str | None, before: SecretStr | None = None) -> Settings:
        secret = None if present is None else SecretStr(present)
        return settings.model_copy(update={"sealing_key": secret, "sealing_key_before": before})

    return change


@pytest.fixture
def reseal(command: Callable[..., Any], settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """Return a function that runs `postroom clients reseal` with a new key and the one before."""
    assert settings.sealing_key is not None
    monkeypatch.setenv("POSTROOM_SEALING_KEY", NEW)
    monkeypatch.setenv("POSTROOM_SEALING_KEY_BEFORE", settings.sealing_key.get_secret_value())
    return lambda: command(app, "clients", "reseal")


def seal_check(fixtures: Fixtures, settings: Settings) -> CheckResult:
    """Return what the doctor finds about seals."""
    found = check(settings, fixtures.database, CheckScope(), timeout=timedelta(seconds=10))
    return next(each for each in found if each.name == SENTENCE)


def test_the_doctor_tells_a_wrong_and_a_missing_key_from_the_right_one(
    fixtures: Fixtures, settings: Settings, key: str, changed: Changed
) -> None:
    right, wrong, none, both = (
        seal_check(fixtures, each)
        for each in (settings, changed(NEW), changed(None), changed(NEW, settings.sealing_key))
    )

    assert [Severity.OK, Severity.FAULT, Severity.FAULT, Severity.WARNING] == [
        each.severity for each in (right, wrong, none, both)
    ]
    assert [(key,)] * 3 == [each.rows for each in (wrong, none, both)]
    assert "POSTROOM_SEALING_KEY is another" in wrong.advice
    assert "POSTROOM_SEALING_KEY is not set" in none.advice
    assert "postroom clients reseal" in both.advice


def test_a_revoked_key_needs_no_sealing_key(fixtures: Fixtures, key: str, changed: Changed) -> None:
    with transaction(fixtures.database) as db:
        credentials.revoke(db, key)

    assert Severity.OK is seal_check(fixtures, changed(None)).severity


def test_after_resealing_the_new_key_alone_opens_all(
    fixtures: Fixtures, settings: Settings, key: str, changed: Changed, reseal: Callable[[], Any]
) -> None:
    again = [reseal(), reseal()]

    assert [0, 0] == [each.exit_code for each in again]
    assert ["sealed 1 secret again", "sealed 0 secrets again"] == [
        each.output.removeprefix("postroom: ").split(";")[0] for each in again
    ]
    assert Severity.OK is seal_check(fixtures, changed(NEW)).severity
    assert (key,) == seal_check(fixtures, settings).rows


def test_one_time_codes_of_staff_are_sealed_again_too(
    fixtures: Fixtures, settings: Settings, changed: Changed, reseal: Callable[[], Any]
) -> None:
    member = add_staff(fixtures.database)
    name = totp_name(member.staff_id)
    assert settings.sealing_key is not None
    with transaction(fixtures.database) as db:
        staff.set_totp(db, member.staff_id, seal("JBSWY3DPEHPK3PXP", name, settings.sealing_key))
    before = seal_check(fixtures, changed(NEW))

    resealed = reseal()

    with transaction(fixtures.database) as db:
        after = staff.by_id(db, member.staff_id)
    assert after is not None
    assert after.totp_sealed is not None
    assert (0, (name,)) == (resealed.exit_code, before.rows)
    assert "JBSWY3DPEHPK3PXP" == open_sealed(after.totp_sealed, name, SecretStr(NEW))


def test_resealing_names_keys_that_no_setting_opens_and_leaves_them(
    fixtures: Fixtures, key: str, changed: Changed, reseal: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("POSTROOM_SEALING_KEY_BEFORE")

    result = reseal()

    assert result.exit_code == 1
    assert f"1 secret still closed: {key}" in result.output
    assert Severity.FAULT is seal_check(fixtures, changed(NEW)).severity


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("expected", [[], [1]])
def test_a_deciding_worker_logs_at_its_start_that_keys_are_closed(
    context: StepContext, changed: Changed, broker: Redis, expected: list[int]
) -> None:
    settings = changed(NEW) if expected else context.settings

    with capture_logs() as lines, reading(StepContext(settings, context.database, context.doorbell)):
        for _ in range(2):  # The first turn ends with the check, so the second send is read after it.
            broker.lpush(QueueName.ACCEPT, envelope({}))
            wait_until(lambda: not broker.llen(QueueName.ACCEPT))

    logged = [line for line in lines if line["event"] == "signing_keys_closed"]
    assert expected == [line["keys"] for line in logged]
    assert all("POSTROOM_SEALING_KEY" in line["what_now"] for line in logged)
