"""Claims warn and end by themselves; notes, questions, escalations and skips are stored and leave audit entries."""

from dataclasses import replace
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from delivery.records.database import transaction
from delivery.records.vetting import audit, case_work
from delivery.records.vetting.audit import AuditFilter
from delivery.rules.audit_chain import AuditKind
from delivery.rules.case_decisions import CaseNote, CaseNotOpen, InvalidDecision, NoteKind
from tasks.context import StepContext
from tasks.steps.case_work import claim_case, note_case, skip_case
from tasks.steps.review import decide_case
from tests.steps.test_decisions import Hold, hold
from tests.support.build import APPROVED, STAFF
from tests.support.fixtures import Fixtures

__all__ = ["hold"]
COLLEAGUE = replace(STAFF, actor_id="staff-2", name="Grace")


@pytest.fixture
def case_id(fixtures: Fixtures, hold: Hold) -> UUID:
    """Return the id of an open case."""
    return fixtures.case(hold(fixtures.account())).case_id


def claimed_by(fixtures: Fixtures, actor_id: str, *case_ids: UUID) -> list[UUID]:
    """Return which of these cases this person has claimed."""
    with transaction(fixtures.database) as db:
        return [each.case_id for each in case_work.claims(db, case_ids) if each.actor_id == actor_id]


def kinds(fixtures: Fixtures) -> list[str]:
    """Return the kinds of all audit entries, oldest first."""
    with transaction(fixtures.database) as db:
        return [each.kind for each in audit.search(db, AuditFilter(), 100)][::-1]


def test_a_claim_warns_the_second_person_and_blocks_no_decision(
    fixtures: Fixtures, case_id: UUID, context: StepContext
) -> None:
    assert [] == claim_case(context, case_id, STAFF)

    others = claim_case(context, case_id, COLLEAGUE)
    decide_case(context, case_id, replace(APPROVED, actor=COLLEAGUE))

    assert ["Ada"] == [each.actor_name for each in others]
    assert [AuditKind.CASE_CLAIMED, AuditKind.CASE_CLAIMED, AuditKind.CASE_DECIDED] == kinds(fixtures)


def test_a_claim_ends_by_itself_and_a_renewal_keeps_it(fixtures: Fixtures, case_id: UUID, context: StepContext) -> None:
    claim_case(context, case_id, STAFF)
    fixtures.run_sql("UPDATE case_claim SET ends_at = ends_at - interval '119 seconds'")
    claim_case(context, case_id, STAFF, is_renewal=True)
    fixtures.run_sql("UPDATE case_claim SET ends_at = ends_at - interval '90 seconds'")
    renewed = claimed_by(fixtures, "staff-1", case_id)
    fixtures.run_sql("UPDATE case_claim SET ends_at = ends_at - interval '90 seconds'")

    assert ([case_id], []) == (renewed, claimed_by(fixtures, "staff-1", case_id))
    assert [AuditKind.CASE_CLAIMED] == kinds(fixtures)


def test_a_fourth_claim_ends_the_oldest(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    case_ids = [fixtures.case(hold(fixtures.account())).case_id for _ in range(4)]

    for each in case_ids:
        claim_case(context, each, STAFF)

    assert case_ids[1:] == claimed_by(fixtures, "staff-1", *case_ids)


def test_a_question_reaches_its_colleague_while_the_case_is_open(
    fixtures: Fixtures, case_id: UUID, context: StepContext
) -> None:
    question = CaseNote(STAFF, "Is this\nthe same sender?", NoteKind.QUESTION, asked_id="staff-2")
    note_case(context, case_id, CaseNote(STAFF, "I know him."))
    note_case(context, case_id, question)

    with transaction(fixtures.database) as db:
        asked = case_work.questions_for(db, "staff-2")
    decide_case(context, case_id, APPROVED)
    with transaction(fixtures.database) as db:
        afterwards, notes = case_work.questions_for(db, "staff-2"), case_work.notes(db, case_id)

    assert (["Is this\nthe same sender?"], []) == ([each.content for each in asked], afterwards)
    assert ["I know him.", "Is this\nthe same sender?"] == [each.content for each in notes]


def test_an_escalation_marks_the_case_and_changes_its_version(
    fixtures: Fixtures, case_id: UUID, context: StepContext
) -> None:
    note_case(context, case_id, CaseNote(STAFF, "Looks like the bank.", NoteKind.ESCALATION))

    (row,) = fixtures.run_sql("SELECT version, escalated_at FROM vetting_case")
    assert (2, True) == (row.version, row.escalated_at is not None)
    assert [AuditKind.CASE_ESCALATED] == kinds(fixtures)


def test_a_closed_or_unknown_case_is_not_escalated_noted_or_skipped(
    fixtures: Fixtures, case_id: UUID, context: StepContext
) -> None:
    decide_case(context, case_id, APPROVED)

    with pytest.raises(CaseNotOpen):
        note_case(context, case_id, CaseNote(STAFF, "Too late.", NoteKind.ESCALATION))
    with pytest.raises(CaseNotOpen):
        note_case(context, uuid7(), CaseNote(STAFF, "Where?"))
    with pytest.raises(CaseNotOpen):
        skip_case(context, uuid7(), STAFF)
    assert 0 == fixtures.count("case_note")


def test_a_skipped_case_is_skipped_for_one_person(fixtures: Fixtures, case_id: UUID, context: StepContext) -> None:
    claim_case(context, case_id, STAFF)
    skip_case(context, case_id, STAFF)

    with transaction(fixtures.database) as db:
        assert ([case_id], []) == (case_work.skipped_by(db, "staff-1"), case_work.skipped_by(db, "staff-2"))
        case_work.end_skips(db, "staff-1")
        assert [] == case_work.skipped_by(db, "staff-1")
    assert [] == claimed_by(fixtures, "staff-1", case_id)


@pytest.mark.parametrize("note", [{"content": ""}, {"content": "x" * 4001}, {"content": "a", "asked_id": "staff-2"}])
def test_an_impossible_note_cannot_be_made(note: dict[str, str]) -> None:
    with pytest.raises(InvalidDecision):
        CaseNote(STAFF, **note)  # type: ignore[arg-type] # the fields of a note
