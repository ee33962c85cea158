"""A worker ignores the variables of another program's Celery in its environment."""

from pathlib import Path
from typing import Any

import pytest

from delivery.settings import Settings
from tests.support.api_client import key_of
from tests.support.fixtures import Fixtures
from tests.support.process_group import API, DECIDE, open_process_group
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("platform")
_AN_HOUR_S = 3600
_FOREIGN: dict[str, Any] = {
    "CELERY_BROKER_URL": "redis://127.0.0.1:1/0",
    "CELERY_BROKER_READ_URL": "redis://127.0.0.1:1/0",
    "CELERY_RESULT_BACKEND": "nowhere://",
    "CELERY_LOADER": "no.such.module",
    "CELERY_CONFIG_MODULE": "no_such_module",
}


def test_bells_reach_a_worker_whose_environment_names_the_broker_of_another_celery(
    fixtures: Fixtures, base_settings: Settings, tmp_path: Path
) -> None:
    account = fixtures.account()
    # For an hour the sweep takes nothing, so what is delivered was delivered by a bell.
    with open_process_group(tmp_path, base_settings, bell_grace_s=_AN_HOUR_S) as group:
        group.key = key_of(fixtures, base_settings, fixtures.client_id)
        group.start(API)
        group.start(DECIDE, **_FOREIGN)
        group.await_ready(fixtures.database)

        assert 201 == group.post(account).status_code
        wait_until(lambda: fixtures.inbox(account), within_s=30)

    log = (tmp_path / "decide.log").read_text(encoding="utf-8")
    assert all(f'"variable": "{name}"' in log for name in _FOREIGN), log
