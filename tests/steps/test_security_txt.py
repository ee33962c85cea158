"""`/.well-known/security.txt` names the contact of the setting, and is absent without it."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from delivery.settings import Settings
from tests.support import build
from tests.support.api_server import open_door

PATH = "/.well-known/security.txt"


def test_the_contact_of_the_setting_is_served_with_an_end_in_less_than_a_year(settings: Settings) -> None:
    contact = "mailto:security@mail.example"

    with open_door(settings.model_copy(update={"security_contact": contact})) as http:
        answer = http.get(PATH)

    lines = dict(line.split(": ", 1) for line in answer.text.splitlines())
    assert (200, "text/plain; charset=utf-8") == (answer.status_code, answer.headers["content-type"])
    assert contact == lines["Contact"]
    remaining = datetime.fromisoformat(lines["Expires"]) - datetime.now(UTC)
    assert timedelta(days=30) < remaining < timedelta(days=365)


def test_without_the_setting_there_is_no_such_file(settings: Settings) -> None:
    with open_door(settings) as http:
        assert 404 == http.get(PATH).status_code


@pytest.mark.parametrize(
    "contact", ["security@mail.example", "http://x.example", "mailto:a@b.example\nExpires: x", "-"]
)
def test_a_contact_that_is_no_address_to_report_to_is_refused(contact: str) -> None:
    with pytest.raises(ValidationError):
        build.settings(security_contact=contact)
