"""Cases are found together by text, sender or rule, and one bulk decision about them can be undone as one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from delivery.records.database import transaction
from delivery.records.vetting import audit, groups
from delivery.records.vetting.audit import AuditFilter
from delivery.records.vetting.groups import BulkPreview, CaseSelection
from delivery.rules.audit_chain import AuditKind
from delivery.rules.case_decisions import InvalidDecision, NotUndone
from delivery.vocabulary import CaseState
from tasks.context import StepContext
from tasks.steps.review import apply_decisions, decide_batch, decide_case
from tasks.steps.undo import undo_batch
from tests.steps.test_decisions import PAUSE, Hold, hold
from tests.support.build import APPROVED, REJECTED, STAFF
from tests.support.fixtures import Fixtures

__all__ = ["hold"]
OFFER = "Dear friend, I have a wonderful business proposal concerning several containers of machinery number {}"
Select = Callable[..., BulkPreview]


@pytest.fixture
def select(fixtures: Fixtures) -> Select:
    """Return a function that previews the open cases of a selection."""

    def preview(**wanted: object) -> BulkPreview:
        with transaction(fixtures.database) as db:
            return groups.preview(db, CaseSelection(**wanted))  # type: ignore[arg-type] # the fields of a selection

    return preview


def named(cases: BulkPreview) -> list[tuple[UUID, int]]:
    """Return ids and versions of these cases."""
    return [(each.case_id, each.version) for each in cases.cases]


def states(fixtures: Fixtures) -> list[str]:
    """Return the states of all cases, in the order in which they were opened."""
    return [row.state for row in fixtures.run_sql("SELECT state FROM vetting_case ORDER BY opened_at, id")]


def test_cases_with_nearly_the_same_text_are_a_group(fixtures: Fixtures, hold: Hold, select: Select) -> None:
    same = [hold(fixtures.account(), body=OFFER.format(number)) for number in range(3)]
    hold(fixtures.account(), body="Something else entirely, about gardens and flowers.")

    with transaction(fixtures.database) as db:
        (group,) = groups.text_groups(db)
    found = select(fingerprint=group.fingerprint)

    assert (3, fixtures.case(same[0]).case_id) == (group.cases, group.oldest_id)
    assert [fixtures.case(each).case_id for each in same] == [each.case_id for each in found.cases]
    assert 3 == found.recipients


def test_all_of_one_sender_are_selected_whatever_the_case_of_its_address(
    fixtures: Fixtures, hold: Hold, select: Select
) -> None:
    hold(fixtures.account(), fixtures.account(), sender_email="Grace@example.com")
    hold(fixtures.account(), sender_email="other@example.com")

    found = select(sender_email="grace@EXAMPLE.com")

    assert (1, 2, 1) == (len(found.cases), found.recipients, found.senders)


def test_what_only_one_version_of_a_rule_held_is_selected(fixtures: Fixtures, hold: Hold, select: Select) -> None:
    alone, older, both, shadowed = (hold(fixtures.account()) for _ in range(4))
    insert = """INSERT INTO rule_hit (message_id, rule, version, action, mode, findings, facts)
                VALUES (:id, :rule, :version, 'hold', :mode, '[]', '{}')"""
    for message_id, rule, version, mode in (
        (alone, "a", 3, "live"),
        (older, "a", 2, "live"),
        (both, "a", 3, "live"),
        (both, "b", 1, "live"),
        (shadowed, "a", 3, "live"),
        (shadowed, "b", 1, "shadow"),
    ):
        fixtures.run_sql(insert, id=message_id, rule=rule, version=version, mode=mode)

    found = select(rule="a", version=3)

    assert [fixtures.case(each).case_id for each in (alone, shadowed)] == [each.case_id for each in found.cases]


def test_a_bulk_decision_is_undone_as_one(fixtures: Fixtures, hold: Hold, context: StepContext, select: Select) -> None:
    messages = [hold(fixtures.account()) for _ in range(3)]

    result = decide_batch(context, named(select()), replace(REJECTED, pause=PAUSE))
    undone = undo_batch(context, result.batch_id, STAFF)
    fixtures.let_pass(PAUSE)
    apply_decisions(context, messages)

    assert (3, {}, (3, 0)) == (result.decided, result.refused, undone)
    assert [CaseState.OPEN] * 3 == states(fixtures)
    with transaction(fixtures.database) as db:
        about = audit.search(db, AuditFilter(subject=str(result.batch_id)), 10)
    assert [AuditKind.BATCH_UNDONE, AuditKind.BATCH_DECIDED] == [each.kind for each in about]


def test_a_batch_that_took_effect_is_not_undone(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    cases = [(fixtures.case(hold(fixtures.account())).case_id, 1) for _ in range(2)]
    result = decide_batch(context, cases, APPROVED)

    assert (0, 2) == undo_batch(context, result.batch_id, STAFF)
    with pytest.raises(NotUndone, match="no bulk decision"):
        undo_batch(context, uuid7(), STAFF)


def test_a_case_that_changed_since_the_preview_is_left_out(
    fixtures: Fixtures, hold: Hold, context: StepContext, select: Select
) -> None:
    one, two = fixtures.account(), fixtures.account()
    changed = hold(one, two)
    hold(fixtures.account())
    shown = named(select())
    decide_case(context, fixtures.case(changed).case_id, replace(APPROVED, only=(one,)))

    result = decide_batch(context, shown, REJECTED)

    assert (1, [fixtures.case(changed).case_id]) == (result.decided, list(result.refused))
    assert [CaseState.OPEN, CaseState.REJECTED] == states(fixtures)


def test_more_than_fifty_cases_need_their_number_typed(
    fixtures: Fixtures, hold: Hold, context: StepContext, select: Select
) -> None:
    account = fixtures.account()
    for _ in range(51):
        hold(account)
    shown = select()

    for typed in (None, 50):
        with pytest.raises(InvalidDecision, match="51"):
            decide_batch(context, named(shown), REJECTED, typed_count=typed)
    assert {CaseState.OPEN} == set(states(fixtures))
    assert 51 == decide_batch(context, named(shown), REJECTED, typed_count=51).decided
    assert 10 == len(shown.samples)


def test_a_bulk_decision_with_a_pause_takes_effect_afterwards(
    fixtures: Fixtures, hold: Hold, context: StepContext, select: Select
) -> None:
    messages = [hold(fixtures.account()) for _ in range(2)]
    decide_batch(context, named(select()), replace(APPROVED, pause=timedelta(seconds=1)))
    before = states(fixtures)
    fixtures.let_pass(timedelta(seconds=1))

    apply_decisions(context, messages)

    assert ([CaseState.DECIDED] * 2, [CaseState.APPROVED] * 2) == (before, states(fixtures))
