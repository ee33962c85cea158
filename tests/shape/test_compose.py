"""docker-compose.yml hands on every setting that there is, and keeps what has to outlive a container."""

import re
from typing import Any

import pytest
import yaml

from delivery.settings import Settings, environment_name
from tests.shape.codebase import ROOT

# The relay's password is for the processes that send mail, and a crash is for trials alone.
_FOR_SOME = {"SMTP_URL", "POSTROOM_CRASH_AT"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """Give what the file says."""
    described: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return described


def test_every_setting_reaches_the_processes_from_the_env_file(compose: dict[str, Any]) -> None:
    handed_on = set(compose["services"]["api"]["environment"])

    assert {environment_name(field) for field in Settings.model_fields} - _FOR_SOME <= handed_on


def test_the_journals_of_all_workers_lie_in_one_volume_that_the_image_lets_them_write_to(
    compose: dict[str, Any],
) -> None:
    workers = [each for name, each in compose["services"].items() if name.startswith("worker-")]

    places = {(each["environment"]["POSTROOM_JOURNAL_FOLDER"], *each["volumes"]) for each in workers}

    ((folder, volume),) = places
    name, _, mounted_at = volume.partition(":")
    assert (folder, True) == (mounted_at, name in compose["volumes"])
    # An empty volume takes its owner from the folder that the image has there.
    makes_it = rf"install --directory --owner=postroom --group=postroom --mode=0700 {folder}\n"
    assert re.search(makes_it, (ROOT / "Dockerfile").read_text(encoding="utf-8"))
