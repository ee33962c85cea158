"""During a rolling update, a reason that only the later version knows is read as no reason."""

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
def with_later_reason(fixtures: Fixtures) -> Iterator[UUID]:
    """Yield a message whose recipient has a reason of a later version."""
    (constraint,) = fixtures.run_sql(_CONSTRAINT)
    message_id = fixtures.message(fixtures.account())
    fixtures.run_sql("ALTER TABLE recipient DROP CONSTRAINT recipient_reason_check")
    fixtures.run_sql("UPDATE recipient SET reason = 'lost_in_the_post'")
    yield message_id
    fixtures.run_sql("UPDATE recipient SET reason = NULL")
    fixtures.run_sql(f"ALTER TABLE recipient ADD CONSTRAINT recipient_reason_check {constraint.words}")


def test_a_message_with_a_reason_of_a_later_version_is_read_without_it(
    http: httpx2.Client, key: Headers, with_later_reason: UUID
) -> None:
    answer = http.get(f"/messages/{with_later_reason}", headers=key)

    (recipient,) = answer.json()["data"]["recipients"]
    assert (200, State.ACCEPTED, None) == (answer.status_code, recipient["state"], recipient["reason"])


def test_the_progress_of_a_message_with_a_reason_of_a_later_version_is_read_without_it(
    database: Database, fixtures: Fixtures, with_later_reason: UUID
) -> None:
    with database.begin() as db:
        found: dict[UUID, Any] = progress(db, [with_later_reason])

    assert [(State.ACCEPTED, None)] == [(each.state, each.reason) for each in found[with_later_reason].recipients]
    assert fixtures.count("recipient") == 1
