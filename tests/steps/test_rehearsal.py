"""The rehearsal is sent once, its cases open as those of any message, and they say nothing about a rule."""

from datetime import timedelta
from functools import partial
from uuid import UUID

from delivery.records.database import transaction
from delivery.records.rule_sets import first_set, store, watch
from delivery.rules.rehearsal import REHEARSAL_CLIENTS
from delivery.rules.rule_alarms import HeldShare, YoungRule
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.vet import vet
from tests.support.fixtures import Fixtures
from worker.embedded.rehearsal import seed_rehearsal


def ids_of_messages(fixtures: Fixtures) -> list[UUID]:
    """Return the ids of all messages."""
    return [row.id for row in fixtures.run_sql("SELECT id FROM message ORDER BY id")]


def rehearse(fixtures: Fixtures, context: StepContext) -> None:
    """Send the rehearsal in a store with the shipped rules, and do what the workers do with it."""
    with transaction(fixtures.database) as db:
        first_set.install(db)
    seed_rehearsal(fixtures.database)
    decide(context, ids_of_messages(fixtures))
    vet(context, ids_of_messages(fixtures))


def test_every_message_of_the_rehearsal_waits_in_a_case(fixtures: Fixtures, context: StepContext) -> None:
    rehearse(fixtures, context)

    cases = fixtures.run_sql("SELECT state, count(*) AS cases FROM vetting_case GROUP BY state")
    states = fixtures.run_sql("SELECT DISTINCT state FROM recipient")
    found = fixtures.run_sql("SELECT count(*) AS cases FROM vetting_case WHERE findings <> '[]'")

    assert [("open", 60)] == [tuple(row) for row in cases]
    assert ["held"] == [row.state for row in states]
    assert found[0].cases >= 45


def test_a_second_start_adds_nothing(fixtures: Fixtures) -> None:
    seed_rehearsal(fixtures.database)
    before = ids_of_messages(fixtures)

    seed_rehearsal(fixtures.database)

    assert before == ids_of_messages(fixtures)
    assert 60 == len(before)


def test_no_mail_leaves_whatever_staff_decide(fixtures: Fixtures) -> None:
    seed_rehearsal(fixtures.database)

    channels = fixtures.run_sql(
        "SELECT DISTINCT preference.channel FROM recipient LEFT JOIN preference USING (account_id)"
    )

    assert ["inbox"] == [row.channel for row in channels]


def test_the_watch_of_rules_leaves_the_rehearsal_out(fixtures: Fixtures, context: StepContext) -> None:
    rehearse(fixtures, context)
    hit = fixtures.run_sql("SELECT rule, version FROM rule_hit GROUP BY 1, 2 ORDER BY count(*) DESC LIMIT 1")[0]
    share = partial(_share, fixtures, hit.rule, hit.version)
    of_rehearsal = share()

    fixtures.run_sql("UPDATE message SET client_id = :other", other=fixtures.client_id)

    assert (0, 0) == (of_rehearsal.judged, of_rehearsal.held)
    assert 60 == share().judged
    assert share().held > 5
    assert fixtures.client_id not in REHEARSAL_CLIENTS


def _share(fixtures: Fixtures, rule: str, version: int) -> HeldShare:
    with transaction(fixtures.database) as db:
        made_at = store.editions(db, 1)[0].made_at
        return watch.share_of(db, YoungRule(rule, version, made_at - timedelta(hours=1), 1))
