"""The journal of a worker: what other workers read of it after a crash, even when its last line is incomplete."""

import os
import select
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from delivery import attempt_journal
from delivery.attempt_journal import FileJournal
from delivery.rules.worker_deaths import JournalEntry

WORKER = UUID("0199aaaa-0000-4000-8000-000000000000")
FIRST, SECOND = (7, 1), (8, 2)


def test_recorded_data_ends_and_replies_are_read_and_nothing_else(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, WORKER)

    journal.record_data_end(FIRST)
    journal.record_data_end(SECOND)
    journal.record_reply(SECOND, 250)

    assert {FIRST: JournalEntry(), SECOND: JournalEntry(250)} == attempt_journal.read(tmp_path, WORKER)


def test_nothing_is_known_of_a_worker_on_another_machine(tmp_path: Path) -> None:
    assert (None, None) == (attempt_journal.read(tmp_path, WORKER), attempt_journal.is_alive(tmp_path, WORKER))


@pytest.mark.parametrize(
    "incomplete", ["", "\n", "7", "7 1", "7 1 answer", "7 1 answer 25", "7 1 answer x .", "x 1 dot .", "\x00"]
)
def test_an_incomplete_line_is_ignored_and_spoils_no_other_line(tmp_path: Path, incomplete: str) -> None:
    journal = FileJournal(tmp_path, WORKER)
    journal.record_data_end(FIRST)
    with (tmp_path / f"{WORKER}.journal").open("a") as file:
        file.write(incomplete)
    journal.record_data_end(SECOND)

    read = attempt_journal.read(tmp_path, WORKER)

    assert {FIRST: JournalEntry(), SECOND: JournalEntry()} == read


def test_a_journal_of_an_earlier_boot_is_not_read(tmp_path: Path) -> None:
    """What was written just before a loss of power may not have reached the disk."""
    FileJournal(tmp_path, WORKER).record_data_end(FIRST)
    path = tmp_path / f"{WORKER}.journal"
    path.write_text(path.read_text().replace("boot ", "boot 0"))

    assert attempt_journal.read(tmp_path, WORKER) is None


def test_a_worker_is_alive_until_its_liveness_file_is_unlocked(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, WORKER)
    journal.record_data_end(FIRST)
    before = attempt_journal.is_alive(tmp_path, WORKER)

    journal.close()

    assert (True, False) == (before, attempt_journal.is_alive(tmp_path, WORKER))


def test_a_journal_without_open_attempts_is_removed_when_it_is_closed(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, WORKER)
    journal.record_data_end(FIRST)
    journal.forget(FIRST)

    journal.close()

    assert [] == list(tmp_path.iterdir())


def test_a_long_journal_is_replaced_by_one_with_only_the_open_attempts(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, WORKER)
    journal.record_data_end(FIRST)
    path = tmp_path / f"{WORKER}.journal"

    fill(journal)
    journal.record_data_end(SECOND)

    read = attempt_journal.read(tmp_path, WORKER) or {}
    assert (JournalEntry(), JournalEntry()) == (read[FIRST], read[SECOND])
    assert path.stat().st_size < 1_100_000
    assert attempt_journal.is_alive(tmp_path, WORKER)


def test_a_journal_whose_successor_cannot_be_written_stays_in_use(tmp_path: Path) -> None:
    journal = FileJournal(tmp_path, WORKER)
    journal.record_data_end(FIRST)
    (tmp_path / f"{WORKER}.new").mkdir()

    fill(journal)
    journal.record_data_end(SECOND)

    read = attempt_journal.read(tmp_path, WORKER) or {}
    assert (JournalEntry(), JournalEntry()) == (read[FIRST], read[SECOND])


def test_a_journal_whose_successor_cannot_be_opened_stays_in_use(tmp_path: Path) -> None:
    """The successor is a pipe that holds less than is written to it, so that it can be swapped before it is opened."""
    journal, successor = FileJournal(tmp_path, WORKER), tmp_path / f"{WORKER}.new"
    for number in range(1, 80_001):
        journal.record_data_end((number, 1))
    os.mkfifo(successor)
    pipe = os.open(successor, os.O_RDONLY | os.O_NONBLOCK)

    with ThreadPoolExecutor(1) as threads:
        swapped = threads.submit(swap_for_dangling_link, successor, pipe)
        journal.forget((1, 1))
    journal.record_data_end(SECOND)

    assert swapped.result()
    assert JournalEntry() == (attempt_journal.read(tmp_path, WORKER) or {})[SECOND]


def test_a_journal_whose_successor_cannot_be_renamed_stays_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = FileJournal(tmp_path, WORKER)
    journal.record_data_end(FIRST)
    # A rename within one folder fails only on a defective disk.
    monkeypatch.setattr(Path, "replace", _fail)

    fill(journal)
    journal.record_data_end(SECOND)

    read = attempt_journal.read(tmp_path, WORKER) or {}
    assert (JournalEntry(), JournalEntry()) == (read[FIRST], read[SECOND])


def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "own")

    with pytest.raises(PermissionError, match="belongs to another user"):
        FileJournal(tmp_path / "link", WORKER)


def test_a_claim_token_leads_to_the_journal(tmp_path: Path) -> None:
    worker_id = uuid4()
    FileJournal(tmp_path, WORKER)
    FileJournal(tmp_path, worker_id).record_data_end(FIRST)
    token = UUID(bytes=worker_id.bytes[:8] + bytes(8))

    assert {FIRST: JournalEntry()} == attempt_journal.read_by_token(tmp_path, token)


def fill(journal: FileJournal) -> None:
    """Record so many mails that the journal exceeds its limit."""
    for number in range(30_000):
        entry = (1_000_000 + number, 1)
        journal.record_data_end(entry)
        journal.record_reply(entry, 250)
        journal.forget(entry)


def swap_for_dangling_link(path: Path, pipe: int) -> bool:
    """Replace the pipe at `path` by a link to nowhere as soon as it is written to, then read it to its end."""
    if not select.select([pipe], [], [], 30)[0]:
        return False
    path.unlink()
    path.symlink_to(path.parent / "nowhere" / "file")
    os.set_blocking(pipe, True)
    with os.fdopen(pipe, "rb") as file:
        file.read()
    return True


def _fail(*_: object) -> None:
    raise OSError("the disk is defective")
