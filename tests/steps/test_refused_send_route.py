"""The sender of a refused direct send reads by HTTP that and why it was refused, and no other client does."""

from uuid import UUID, uuid4

import httpx2
import pytest

from delivery.intake.errors import FieldError
from delivery.records.database import transaction
from delivery.records.pipeline import refused_sends
from delivery.records.pipeline.refused_sends import Refusal
from delivery.settings import Settings
from tests.support.api_client import Headers, key_of
from tests.support.fixtures import Fixtures


@pytest.fixture
def refused(fixtures: Fixtures) -> UUID:
    """Record a refusal of the client's send and return its id."""
    refusal = Refusal(uuid4(), fixtures.client_id, (FieldError("subject", "blank", "subject is blank."),))
    with transaction(fixtures.database) as db:
        refused_sends.record(db, [refusal])
    assert refusal.message_id is not None
    return refusal.message_id


def test_its_sender_reads_that_it_was_rejected_and_every_fault(
    http: httpx2.Client, key: Headers, refused: UUID
) -> None:
    answer = http.get(f"/messages/{refused}", headers=key)

    assert 200 == answer.status_code
    read = answer.json()
    assert ("rejected", "refused_send", str(refused)) == tuple(
        read["meta"][name] for name in ("status", "status_reason", "message_uuid")
    )
    assert [{"field": "subject", "code": "blank", "message": "subject is blank."}] == read["errors"]
    assert (1, None) == (read["success"], read["data"])


def test_it_is_read_again_without_a_body_while_nothing_changed(
    http: httpx2.Client, key: Headers, refused: UUID
) -> None:
    tag = http.get(f"/messages/{refused}", headers=key).headers["ETag"]

    assert 304 == http.get(f"/messages/{refused}", headers={**key, "If-None-Match": tag}).status_code


def test_for_another_client_it_does_not_exist(
    http: httpx2.Client, fixtures: Fixtures, settings: Settings, refused: UUID
) -> None:
    other_key = key_of(fixtures, settings, fixtures.client())

    assert 404 == http.get(f"/messages/{refused}", headers=other_key).status_code
