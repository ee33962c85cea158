"""A client decides vetting cases by HTTP, for a while too, but never about a message that it sent."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from delivery.records.database import transaction
from delivery.records.vetting import decisions, standing
from delivery.rules.case_decisions import ActorKind
from delivery.settings import Settings
from delivery.vocabulary import State
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.vet import vet
from tests.steps.conftest import HELD_PHRASE
from tests.steps.test_case_routes import data, message_id, path, refusal, vetter
from tests.steps.test_decisions import Hold, hold
from tests.support.api_client import Headers, key_of
from tests.support.fixtures import Fixtures

__all__ = ["hold", "message_id", "path", "vetter"]


def test_an_approval_is_by_the_client_with_the_person_as_claimed(
    http: httpx2.Client, vetter: Headers, fixtures: Fixtures, message_id: UUID, path: str
) -> None:
    answer = http.post(f"{path}/approve", headers=vetter, json={"as": "Vera", "note": "Known.", "version": 1})

    assert "approved" == data(answer)["state"]
    assert {State.DELIVERED} == set(fixtures.states(message_id))
    with transaction(fixtures.database) as db:
        (made,) = decisions.of_case(db, fixtures.case(message_id).case_id)
    assert (ActorKind.CLIENT, "Known.") == (made.actor_kind, made.note)
    assert made.actor_name.startswith("Vera (as claimed, key ")
    assert made.actor_name.split()[-1].rstrip(")") in vetter["X-Proz-API-Key"]
    assert data(answer)["decision_uuid"] == str(made.decision_id)


def test_a_rejection_for_one_recipient_leaves_the_other_held(  # noqa: PLR0917 - its fixtures
    http: httpx2.Client, vetter: Headers, fixtures: Fixtures, settings: Settings, message_id: UUID, path: str
) -> None:
    chosen = str(fixtures.view(message_id).recipients[0].account_id)
    words = {"reason": settings.reasons[0], "sentence": "Not here, please."}

    answer = http.post(f"{path}/reject", headers=vetter, json={"recipient_uuids": [chosen], **words})

    assert "open" == data(answer)["state"]
    assert [State.REFUSED, State.HELD] == fixtures.states(message_id)
    (shown,) = data(http.get(path, headers=vetter))["decisions"]
    assert ([chosen], words) == (shown["recipient_uuids"], {name: shown[name] for name in words})


def test_a_decision_with_a_pause_can_be_undone_once(
    http: httpx2.Client, vetter: Headers, fixtures: Fixtures, message_id: UUID, path: str
) -> None:
    decided = data(http.post(f"{path}/approve", headers=vetter, json={"pause_s": 300}))
    other = http.post(f"{path}/undo", headers=vetter, json={"decision_uuid": str(uuid4())})

    undone = http.post(f"{path}/undo", headers=vetter, json={"decision_uuid": decided["decision_uuid"]})
    again = http.post(f"{path}/undo", headers=vetter, json={})

    assert ("decided", "open") == (decided["state"], data(undone)["state"])
    assert [(409, "not_undone")] * 2 == [refusal(other), refusal(again)]
    assert {State.HELD} == set(fixtures.states(message_id))


def test_the_second_decider_is_told_who_was_first(http: httpx2.Client, vetter: Headers, path: str) -> None:
    http.post(f"{path}/reject", headers=vetter, json={"as": "Vera"})

    answer = http.post(f"{path}/approve", headers=vetter, json={})

    assert (409, "case_not_open") == refusal(answer)
    assert "rejected by Vera" in answer.json()["error_description"]
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize(
    ("tag", "fields", "expected"),
    [
        (None, {"version": 7}, (409, "case_changed")),
        ('"7"', {}, (412, "precondition_failed")),
        ('W/"1"', {}, (412, "precondition_failed")),
        ('"1"', {"version": 2}, (412, "precondition_failed")),
    ],
)
def test_a_decision_on_another_version_changes_nothing(  # noqa: PLR0917 - its fixtures
    http: httpx2.Client,
    vetter: Headers,
    fixtures: Fixtures,
    message_id: UUID,
    path: str,
    tag: str | None,
    fields: dict[str, int],
    expected: tuple[int, str],
) -> None:
    headers = {**vetter, **({"If-Match": tag} if tag else {})}

    assert expected == refusal(http.post(f"{path}/approve", headers=headers, json=fields))
    assert {State.HELD} == set(fixtures.states(message_id))


def test_the_tag_of_the_case_that_was_read_decides_it(http: httpx2.Client, vetter: Headers, path: str) -> None:
    tag = http.get(path, headers=vetter).headers["etag"]

    answer = http.post(f"{path}/reject", headers={**vetter, "If-Match": tag}, json={})

    assert "rejected" == data(answer)["state"]


@pytest.mark.parametrize(
    "fields", [{"reason": "none of the settings"}, {"recipient_uuids": [str(UUID(int=7))]}, {"sentence": "a\u200bb"}]
)
def test_a_decision_that_is_not_possible_is_a_422(  # noqa: PLR0917 - its fixtures
    http: httpx2.Client, vetter: Headers, fixtures: Fixtures, message_id: UUID, path: str, fields: dict[str, Any]
) -> None:
    answer = http.post(f"{path}/reject", headers=vetter, json=fields)

    assert (422, "invalid_decision") == refusal(answer)
    assert {State.HELD} == set(fixtures.states(message_id))


def test_every_wrong_field_is_named_at_once(http: httpx2.Client, vetter: Headers, path: str) -> None:
    fields = {"as": "a\nb", "version": "1", "pause_s": 301, "recipient_uuids": ["x"], "sentence": 7, "note": "\0"}

    answer = http.post(f"{path}/reject", headers=vetter, json=fields)

    assert 400 == answer.status_code
    named = [each["field"] for each in answer.json()["errors"]]
    assert ["as", "note", "pause_s", "recipient_uuids[0]", "sentence", "version"] == sorted(named)


def test_the_sending_client_cannot_decide_undo_or_let_stand_its_own_message(  # noqa: PLR0917 - its fixtures
    http: httpx2.Client, key: Headers, vetter: Headers, fixtures: Fixtures, message_id: UUID, path: str
) -> None:
    standing_fields = {"case_uuid": path.rpartition("/")[2], "verdict": "approve"}

    refused = [http.post(f"{path}/{verb}", headers=key, json={"as": "Vera"}) for verb in ("approve", "reject")]
    refused.append(http.post("/vetting/standing-decisions", headers=key, json=standing_fields))
    http.post(f"{path}/reject", headers=vetter, json={"pause_s": 300})
    refused.append(http.post(f"{path}/undo", headers=key, json={}))

    assert [(409, "own_message")] * 4 == [refusal(each) for each in refused]
    assert {State.HELD} == set(fixtures.states(message_id))


def test_a_standing_decision_of_a_client_decides_no_message_that_it_sends(
    http: httpx2.Client, context: StepContext, fixtures: Fixtures, settings: Settings, hold: Hold
) -> None:
    sender, deciding = fixtures.account(), fixtures.client()
    case = fixtures.case(hold(fixtures.account(), sender_account_id=sender))
    fields = {"case_uuid": str(case.case_id), "verdict": "approve"}
    data(http.post("/vetting/standing-decisions", headers=key_of(fixtures, settings, deciding), json=fields))

    by_other = hold(fixtures.account(), sender_account_id=sender)
    own = fixtures.incoming(fixtures.account(), sender_account_id=sender, subject=f"Now {HELD_PHRASE}")
    fixtures.accept(replace(own, client_id=deciding))
    by_itself = own.message_id
    decide(context, [by_itself])
    vet(context, [by_itself])

    assert ("decided", "open") == (fixtures.case(by_other).state, fixtures.case(by_itself).state)


def test_standing_decisions_are_made_listed_and_revoked_once(
    http: httpx2.Client, vetter: Headers, fixtures: Fixtures, hold: Hold
) -> None:
    case = fixtures.case(hold(fixtures.account(), sender_email="eve@example.com"))
    fields = {"case_uuid": str(case.case_id), "verdict": "reject", "days": 2, "as": "Vera"}
    made = data(http.post("/vetting/standing-decisions", headers=vetter, json=fields))["uuid"]
    (listed,) = data(http.get("/vetting/standing-decisions", headers=vetter))

    revoke = f"/vetting/standing-decisions/{made}/revoke"
    first, second = (http.post(revoke, headers=vetter, json={}) for _ in range(2))

    assert (made, "reject") == (listed["uuid"], listed["verdict"])
    with transaction(fixtures.database) as db:
        (kept,) = standing.standing_decisions(db, is_everything=True)
    assert timedelta(days=2) == kept.ends_at - kept.made_at
    assert [200, 404] == [first.status_code, second.status_code]
    assert [] == data(http.get("/vetting/standing-decisions", headers=vetter))


def test_a_standing_decision_names_every_wrong_field(http: httpx2.Client, vetter: Headers) -> None:
    answer = http.post("/vetting/standing-decisions", headers=vetter, json={"verdict": "expire", "days": 91})

    assert 400 == answer.status_code
    assert ["case_uuid", "days", "verdict"] == sorted(each["field"] for each in answer.json()["errors"])
