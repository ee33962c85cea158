"""While versions roll, rows hold reasons that only a later version knows: whoever does not, answers without."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx2
import pytest

from delivery.records.database import Database
from delivery.records.views.messages import progress
from delivery.vocabulary import State
from tests.support.api_client import Headers
from tests.support.fixtures import Fixtures

_CONSTRAINT = "SELECT pg_get_constraintdef(oid) AS words FROM pg_constraint WHERE conname = 'recipient_reason_check'"


@pytest.fixture
def unheard_of(fixtures: Fixtures) -> Iterator[UUID]:
    """Give a message whose recipient stands where it does for a reason of a later version."""
    (known,) = fixtures.ask(_CONSTRAINT)
    message_id = fixtures.message(fixtures.account())
    fixtures.ask("ALTER TABLE recipient DROP CONSTRAINT recipient_reason_check")
    fixtures.ask("UPDATE recipient SET reason = 'lost_in_the_post'")
    yield message_id
    fixtures.ask("UPDATE recipient SET reason = NULL")
    fixtures.ask(f"ALTER TABLE recipient ADD CONSTRAINT recipient_reason_check {known.words}")


def test_a_message_with_a_reason_of_a_later_version_is_read_without_it(
    http: httpx2.Client, key: Headers, unheard_of: UUID
) -> None:
    answer = http.get(f"/messages/{unheard_of}", headers=key)

    (recipient,) = answer.json()["data"]["recipients"]
    assert (200, State.ACCEPTED, None) == (answer.status_code, recipient["state"], recipient["reason"])


def test_whoever_waits_for_a_verdict_with_a_reason_of_a_later_version_hears_it_without(
    database: Database, fixtures: Fixtures, unheard_of: UUID
) -> None:
    with database.begin() as db:
        found: dict[UUID, Any] = progress(db, [unheard_of])

    assert [(State.ACCEPTED, None)] == [(each.state, each.reason) for each in found[unheard_of].standings]
    assert fixtures.count("recipient") == 1
