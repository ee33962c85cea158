"""docker-compose.yml passes on every setting, and keeps the journals when a container ends."""

import re

from delivery.settings import Settings, environment_name
from tests.shape.codebase import compose_file, read_text

# Only processes that send mail get the password of the relay, and only trials set a crash.
_NOT_FOR_ALL = {"SMTP_URL", "POSTROOM_CRASH_AT"}


def test_every_setting_reaches_the_processes_from_the_env_file() -> None:
    passed_on = set(compose_file()["services"]["api"]["environment"])

    assert {environment_name(field) for field in Settings.model_fields} - _NOT_FOR_ALL <= passed_on


def test_the_journals_of_all_workers_are_in_one_volume_that_they_may_write_to() -> None:
    compose = compose_file()
    workers = [each for name, each in compose["services"].items() if name.startswith("worker-")]

    places = {(each["environment"]["POSTROOM_JOURNAL_FOLDER"], *each["volumes"]) for each in workers}

    ((folder, volume),) = places
    name, _, mounted_at = volume.partition(":")
    assert (folder, True) == (mounted_at, name in compose["volumes"])
    # An empty volume takes its owner from the folder that the image has there.
    instruction = rf"install --directory --owner=postroom --group=postroom --mode=0700 {folder}\n"
    assert re.search(instruction, read_text("Dockerfile"))
