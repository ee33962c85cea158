"""Vetting cases are read and worked on by HTTP, by credentials with the scope for it."""

from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from delivery.records.database import transaction
from delivery.records.vetting import audit, case_work
from delivery.records.vetting.audit import AuditFilter
from delivery.rules.audit_chain import AuditKind
from delivery.settings import Settings
from delivery.vocabulary import Scope, State
from tests.steps.test_decisions import Hold, hold
from tests.support.api_client import Headers, key_of
from tests.support.fixtures import Fixtures

__all__ = ["hold"]
HOSTILE = "<script>alert(1)</script> {{7*7}} '; DROP TABLE message; -- =cmd|' /C calc'!A0"
_VERBS: tuple[tuple[str, dict[str, str]], ...] = (
    ("approve", {}),
    ("reject", {}),
    ("undo", {}),
    ("claim", {}),
    ("notes", {"content": "x"}),
    ("escalate", {"content": "x"}),
    ("skip", {}),
)


@pytest.fixture
def vetter(fixtures: Fixtures, settings: Settings) -> Headers:
    """Return the headers of a client that may only decide, and that sent nothing."""
    return key_of(fixtures, settings, fixtures.client(scopes=[Scope.VETTING_DECIDE]))


@pytest.fixture
def message_id(fixtures: Fixtures, hold: Hold) -> UUID:
    """Return the id of a held message to two accounts."""
    return hold(*fixtures.accounts(2))


@pytest.fixture
def path(fixtures: Fixtures, message_id: UUID) -> str:
    """Return the path of the case of that message."""
    return f"/vetting/cases/{fixtures.case(message_id).case_id}"


def data(answer: httpx2.Response) -> Any:
    """Return what a good answer has."""
    assert 200 == answer.status_code, answer.text
    return answer.json()["data"]


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    """Return the status and the code of a refusal."""
    return answer.status_code, answer.json()["error"]


def kinds(fixtures: Fixtures) -> list[str]:
    """Return the kinds of all audit entries, oldest first."""
    with transaction(fixtures.database) as db:
        return [each.kind for each in audit.search(db, AuditFilter(), 100)][::-1]


def test_a_case_is_listed_without_its_text_and_read_with_it_which_the_audit_records(
    http: httpx2.Client, vetter: Headers, fixtures: Fixtures, message_id: UUID, path: str
) -> None:
    listed = http.get("/vetting/cases", headers=vetter)
    unread = kinds(fixtures)
    read = http.get(path, headers=vetter)

    assert [str(message_id)] == [each["message_uuid"] for each in data(listed)]
    assert fixtures.view(message_id).body not in listed.text
    assert [] == unread
    assert (fixtures.view(message_id).body, "open", 2) == (
        data(read)["body"],
        data(read)["state"],
        len(data(read)["recipients"]),
    )
    assert f'"{data(read)["version"]}"' == read.headers["etag"]
    assert [AuditKind.BODY_READ] == kinds(fixtures)


def test_open_cases_are_paged_oldest_first(
    http: httpx2.Client, vetter: Headers, fixtures: Fixtures, hold: Hold
) -> None:
    sent = [str(hold(fixtures.account())) for _ in range(3)]

    first = http.get("/vetting/cases?limit=2", headers=vetter)
    cursor = first.json()["meta"]["next_cursor"]
    second = http.get("/vetting/cases", params={"limit": 2, "cursor": cursor}, headers=vetter)

    assert sent == [each["message_uuid"] for each in [*data(first), *data(second)]]
    assert second.json()["meta"]["next_cursor"] is None


def test_open_cases_are_filtered_by_rule_sender_text_and_due_time(
    http: httpx2.Client, vetter: Headers, fixtures: Fixtures, hold: Hold
) -> None:
    wanted = hold(fixtures.account(), sender_email="Eve@Example.com", body="A bargain in Gold")
    hold(fixtures.account(), sender_email="bob@example.com", body="Other words")
    fixtures.run_sql(
        "INSERT INTO rule_hit (message_id, rule, version, action, mode, findings, facts)"
        " VALUES (:id, 'gold', 1, 'hold', 'live', '[]', '{}') RETURNING message_id",
        id=wanted,
    )
    fixtures.run_sql(
        "UPDATE vetting_case SET due_at = now() - interval '1 minute' WHERE message_id = :id RETURNING id", id=wanted
    )

    filters = ({"rule": "gold"}, {"sender": "eve@example.COM"}, {"text": "in gold"}, {"overdue": "true"})
    found = [data(http.get("/vetting/cases", params=each, headers=vetter)) for each in filters]
    others = data(http.get("/vetting/cases", params={"overdue": "false"}, headers=vetter))

    assert [[str(wanted)]] * 4 == [[each["message_uuid"] for each in one] for one in found]
    assert [False] == [each["message_uuid"] == str(wanted) for each in others]


def test_every_wrong_parameter_is_named_at_once(http: httpx2.Client, vetter: Headers) -> None:
    answer = http.get("/vetting/cases?overdue=soon&limit=0&text=%00&cursor=x", headers=vetter)

    assert 400 == answer.status_code
    assert ["cursor", "limit", "overdue", "text"] == sorted(each["field"] for each in answer.json()["errors"])


def test_claims_notes_escalations_and_skips_are_stored_by_the_client(
    http: httpx2.Client, vetter: Headers, fixtures: Fixtures, settings: Settings, path: str
) -> None:
    other_id = fixtures.client()
    other = key_of(fixtures, settings, other_id)
    alone = data(http.post(f"{path}/claim", headers=vetter, json={"as": "Vera"}))

    others = data(http.post(f"{path}/claim", headers=other, json={}))
    noted = data(http.post(f"{path}/notes", headers=vetter, json={"content": "Line\ntwo", "as": "Vera"}))
    escalated = data(http.post(f"{path}/escalate", headers=vetter, json={"content": "Soon."}))
    data(http.post(f"{path}/skip", headers=other, json={}))

    assert [] == alone
    assert [True] == [each["name"].startswith("Vera (as claimed") for each in others]
    assert (1, 2) == (noted["version"], escalated["version"])
    read = data(http.get(path, headers=vetter))
    assert [("note", "Line\ntwo"), ("escalation", "Soon.")] == [(n["kind"], n["content"]) for n in read["notes"]]
    assert read["escalated_at"] is not None
    with transaction(fixtures.database) as db:
        assert [UUID(read["uuid"])] == case_work.skipped_by(db, str(other_id))


@pytest.mark.parametrize(("verb", "fields"), _VERBS)
def test_another_scope_decides_nothing(  # noqa: PLR0917 - its fixtures
    http: httpx2.Client,
    fixtures: Fixtures,
    settings: Settings,
    message_id: UUID,
    path: str,
    verb: str,
    fields: dict[str, str],
) -> None:
    scopes = [each for each in Scope if each is not Scope.VETTING_DECIDE]
    key = key_of(fixtures, settings, fixtures.client(scopes=scopes))

    answer = http.post(f"{path}/{verb}", headers=key, json=fields)

    assert (403, "insufficient_scope") == refusal(answer)
    assert {State.HELD} == set(fixtures.states(message_id))
    assert [] == kinds(fixtures)


def test_another_scope_reads_and_lets_stand_nothing(
    http: httpx2.Client, fixtures: Fixtures, settings: Settings, path: str
) -> None:
    scopes = [each for each in Scope if each is not Scope.VETTING_DECIDE]
    key = key_of(fixtures, settings, fixtures.client(scopes=scopes))
    fields = {"case_uuid": path.rpartition("/")[2], "verdict": "approve"}

    answers = [http.get(each, headers=key) for each in (path, "/vetting/cases", "/vetting/standing-decisions")]
    answers.append(http.post("/vetting/standing-decisions", headers=key, json=fields))
    answers.append(http.post(f"/vetting/standing-decisions/{uuid4()}/revoke", headers=key, json={}))

    assert {403} == {each.status_code for each in answers}


@pytest.mark.parametrize("case", [str(UUID(int=7)), "x"])
@pytest.mark.parametrize(("verb", "fields"), _VERBS)
def test_what_does_not_exist_is_a_404(
    http: httpx2.Client, vetter: Headers, case: str, verb: str, fields: dict[str, str]
) -> None:
    answers = [
        http.get(f"/vetting/cases/{case}", headers=vetter),
        http.post(f"/vetting/cases/{case}/{verb}", headers=vetter, json=fields),
    ]

    assert {404} == {each.status_code for each in answers}


def test_hostile_text_is_stored_and_returned_as_it_is(
    http: httpx2.Client, vetter: Headers, fixtures: Fixtures, hold: Hold
) -> None:
    case_id = fixtures.case(hold(fixtures.account(), body=HOSTILE, sender_name=HOSTILE)).case_id
    path = f"/vetting/cases/{case_id}"

    data(http.post(f"{path}/notes", headers=vetter, json={"content": HOSTILE, "as": HOSTILE}))
    data(http.post(f"{path}/reject", headers=vetter, json={"sentence": HOSTILE, "note": HOSTILE, "as": HOSTILE}))
    found = http.get("/vetting/cases", params={"text": HOSTILE, "sender": HOSTILE, "rule": HOSTILE}, headers=vetter)

    read = http.get(path, headers=vetter)
    shown = data(read)
    assert "application/json" == read.headers["content-type"]
    assert [HOSTILE] * 4 == [
        shown["body"],
        shown["sender_name"],
        shown["notes"][0]["content"],
        shown["decisions"][0]["sentence"],
    ]
    assert [] == data(found)
