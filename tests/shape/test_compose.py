"""docker-compose.yml hands on every setting that there is."""

from typing import Any

import yaml

from delivery.settings import Settings, environment_name
from tests.shape.house import ROOT

# The relay's password is for the processes that send mail, and a crash is for trials alone.
_FOR_SOME = {"SMTP_URL", "POSTROOM_CRASH_AT"}


def test_every_setting_reaches_the_processes_from_the_env_file() -> None:
    compose: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))

    handed_on = set(compose["services"]["api"]["environment"])

    assert {environment_name(field) for field in Settings.model_fields} - _FOR_SOME <= handed_on
