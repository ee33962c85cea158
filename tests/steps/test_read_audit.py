"""Reads of bodies reach the audit in batches, in their order, and no reader waits for another one."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from sqlalchemy import text

from api_stub.background.read_audit import ReadAudit
from delivery.records.database import Database, open_page_database, transaction
from delivery.records.vetting import audit
from delivery.rules.audit_chain import AuditEntry, AuditKind
from delivery.settings import Settings
from tests.support.fixtures import Fixtures
from tests.support.waiting import wait_until

_KEY = b"k" * 32
_LOCK_OF_THE_CHAIN = text("SELECT pg_advisory_xact_lock(:key)")


@pytest.fixture
def pages(settings: Settings) -> Iterator[Database]:
    """Yield the database as pages of the desk use it."""
    database = open_page_database(settings, connections=2)
    yield database
    database.dispose()


@pytest.fixture
def reads(pages: Database) -> Iterator[ReadAudit]:
    """Yield a queue of reads."""
    with closing(ReadAudit(pages, _KEY)) as reads:
        yield reads


def read(number: int) -> AuditEntry:
    """Return the entry of a read."""
    return AuditEntry(AuditKind.BODY_READ, "1", (str(number),))


def subjects(fixtures: Fixtures) -> list[str]:
    """Return what the entries are about, in their order."""
    return [row.subjects[0] for row in fixtures.run_sql("SELECT subjects FROM audit_event ORDER BY seq")]


@pytest.mark.parametrize("number", [1, 120])
def test_reads_are_appended_soon_and_in_order(reads: ReadAudit, fixtures: Fixtures, number: int) -> None:
    for each in range(number):
        reads.add(read(each))
    wait_until(lambda: len(subjects(fixtures)) == number)

    assert [str(each) for each in range(number)] == subjects(fixtures)
    with transaction(fixtures.database) as db:
        assert audit.verify(db, _KEY).wrong_seq is None


def test_a_reader_does_not_wait_while_another_transaction_holds_the_chain(reads: ReadAudit, fixtures: Fixtures) -> None:
    with transaction(fixtures.database) as db:
        db.execute(_LOCK_OF_THE_CHAIN, {"key": audit._LOCK_KEY})
        for each in range(3):
            reads.add(read(each))
        was_appended = reads.flush()
        before = subjects(fixtures)
    wait_until(lambda: len(subjects(fixtures)) == 3)

    assert (False, []) == (was_appended, before)
    assert ["0", "1", "2"] == subjects(fixtures)


def test_what_still_waits_is_appended_at_the_end_of_the_process(pages: Database, fixtures: Fixtures) -> None:
    reads = ReadAudit(pages, _KEY)
    reads.add(read(1))

    reads.close()

    assert ["1"] == subjects(fixtures)
