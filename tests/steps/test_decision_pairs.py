"""Of two that act on one case at the same time, exactly one succeeds; the case and its recipients agree on which."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import partial

from delivery.rules.case_decisions import DecisionRefused
from delivery.vocabulary import CaseState, State
from tasks.context import StepContext
from tasks.steps.review import apply_decisions, decide_case, expire_reviews
from tasks.steps.undo import undo_decision
from tests.steps.test_decisions import PAUSE, Hold, hold, made, violated
from tests.support.build import APPROVED, REJECTED, STAFF
from tests.support.fixtures import Fixtures

__all__ = ["hold"]
PAIRS = 60
"""So many pairs of each kind."""


def decided_or_not(work: Callable[[], object]) -> str:
    """Run this work; return `done`, or the name of the refusal."""
    try:
        work()
    except DecisionRefused as error:
        return type(error).__name__
    return "done"


def at_once(*works: Callable[[], object]) -> list[str]:
    """Run these at the same time, each on a thread; return how each ended."""
    start = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> str:
        start.wait()
        return decided_or_not(work)

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def test_of_undo_and_delivery_exactly_one_happens(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    seen: Counter[tuple[str, State]] = Counter()
    account = fixtures.account()
    for _ in range(PAIRS):
        message_id = hold(account)
        case_id = fixtures.case(message_id).case_id
        decide_case(context, case_id, replace(APPROVED, pause=PAUSE))
        fixtures.let_pass(PAUSE)

        undone, _applied = at_once(
            partial(undo_decision, context, case_id, STAFF), partial(apply_decisions, context, [message_id])
        )

        seen[undone, fixtures.recipient(message_id).state] += 1
    assert set(seen) <= {("done", State.HELD), ("NotUndone", State.DELIVERED)}
    assert PAIRS == sum(seen.values())
    assert [] == violated(fixtures)


def test_of_two_decisions_exactly_one_counts(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    expected = {("done", "CaseNotOpen"): State.DELIVERED, ("CaseNotOpen", "done"): State.REFUSED}
    account = fixtures.account()
    for _ in range(PAIRS):
        message_id = hold(account)
        case_id = fixtures.case(message_id).case_id

        approved, rejected = at_once(
            partial(decide_case, context, case_id, APPROVED), partial(decide_case, context, case_id, REJECTED)
        )

        assert expected[approved, rejected] is fixtures.recipient(message_id).state
        assert 1 == len(made(fixtures, message_id))
    assert [] == violated(fixtures)


def test_of_decision_and_expiry_exactly_one_counts(fixtures: Fixtures, hold: Hold, context: StepContext) -> None:
    seen: Counter[tuple[str, State, CaseState]] = Counter()
    account = fixtures.account()
    for _ in range(PAIRS):
        message_id = hold(account)
        case_id = fixtures.case(message_id).case_id
        fixtures.let_pass(timedelta(days=8))

        approved, _expired = at_once(
            partial(decide_case, context, case_id, APPROVED), partial(expire_reviews, context, [message_id])
        )

        seen[approved, fixtures.recipient(message_id).state, fixtures.case(message_id).state] += 1
    assert set(seen) <= {
        ("done", State.DELIVERED, CaseState.APPROVED),
        ("CaseNotOpen", State.REFUSED, CaseState.EXPIRED),
    }
    assert [] == violated(fixtures)
