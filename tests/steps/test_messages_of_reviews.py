"""A client finds the message of a review by the `message_vetting_id` that it stored."""

import httpx2
from uuid_utils.compat import uuid7

from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.vet import vet
from tests.steps.conftest import HELD_PHRASE
from tests.support.api_client import Headers, key_of
from tests.support.fixtures import Fixtures


def test_the_message_of_a_review_is_found_by_its_client_alone(
    http: httpx2.Client, fixtures: Fixtures, key: Headers, context: StepContext
) -> None:
    messages = [fixtures.message(fixtures.account(), subject=HELD_PHRASE) for _ in range(2)]
    decide(context, messages)
    vet(context, messages)
    wanted = fixtures.case(messages[0]).case_id
    other = key_of(fixtures, context.settings, fixtures.client())

    def found(headers: Headers, vetting_id: object, more: str = "") -> list[str]:
        answer = http.get(f"/messages?message_vetting_id={vetting_id}{more}", headers=headers)
        return [each["uuid"] for each in answer.json()["data"]]

    assert [str(messages[0])] == found(key, wanted) == found(key, wanted, "&status=pending")
    assert [] == found(key, wanted, "&status=sent") == found(key, uuid7()) == found(other, wanted)
    assert 400 == http.get("/messages?message_vetting_id=x", headers=key).status_code
