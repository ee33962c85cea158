"""The journal of a worker: what is read of it after a death, whatever became of its last line."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest

from delivery import attempt_journal
from delivery.attempt_journal import FileJournal
from delivery.rules.worker_deaths import JournalEntry

WORKER = UUID("0199aaaa-0000-4000-8000-000000000000")
FIRST, SECOND = (7, 1), (8, 2)


def test_a_dot_and_its_answer_are_read_and_what_was_never_noted_is_not(tmp_path: Path) -> None:
    written = FileJournal(tmp_path, WORKER)

    written.record_data_end(FIRST)
    written.record_data_end(SECOND)
    written.record_reply(SECOND, 250)

    assert {FIRST: JournalEntry(), SECOND: JournalEntry(250)} == attempt_journal.read(tmp_path, WORKER)


def test_nothing_is_known_of_a_worker_of_another_machine(tmp_path: Path) -> None:
    assert (None, None) == (attempt_journal.read(tmp_path, WORKER), attempt_journal.is_alive(tmp_path, WORKER))


@pytest.mark.parametrize(
    "torn", ["", "\n", "7", "7 1", "7 1 answer", "7 1 answer 25", "7 1 answer x .", "x 1 dot .", "\x00"]
)
def test_a_line_that_was_cut_short_counts_for_nothing_and_spoils_no_other(tmp_path: Path, torn: str) -> None:
    written = FileJournal(tmp_path, WORKER)
    written.record_data_end(FIRST)
    with (tmp_path / f"{WORKER}.journal").open("a") as file:
        file.write(torn)
    written.record_data_end(SECOND)

    read = attempt_journal.read(tmp_path, WORKER)

    assert {FIRST: JournalEntry(), SECOND: JournalEntry()} == read


def test_a_journal_of_an_earlier_boot_is_not_believed(tmp_path: Path) -> None:
    """What was written just before the power went may never have reached the disk."""
    FileJournal(tmp_path, WORKER).record_data_end(FIRST)
    path = tmp_path / f"{WORKER}.journal"
    path.write_text(path.read_text().replace("boot ", "boot 0"))

    assert attempt_journal.read(tmp_path, WORKER) is None


def test_a_worker_lives_until_its_sign_of_life_is_let_go(tmp_path: Path) -> None:
    written = FileJournal(tmp_path, WORKER)
    written.record_data_end(FIRST)
    before = attempt_journal.is_alive(tmp_path, WORKER)

    written.close()

    assert (True, False) == (before, attempt_journal.is_alive(tmp_path, WORKER))


def test_nothing_is_left_of_a_journal_in_which_nothing_was_open(tmp_path: Path) -> None:
    written = FileJournal(tmp_path, WORKER)
    written.record_data_end(FIRST)
    written.forget(FIRST)

    written.close()

    assert [] == list(tmp_path.iterdir())


def test_a_long_journal_begins_anew_with_what_is_open(tmp_path: Path) -> None:
    written = FileJournal(tmp_path, WORKER)
    written.record_data_end(FIRST)
    path = tmp_path / f"{WORKER}.journal"

    fill(written)
    written.record_data_end(SECOND)

    read = attempt_journal.read(tmp_path, WORKER) or {}
    assert (JournalEntry(), JournalEntry()) == (read[FIRST], read[SECOND])
    assert path.stat().st_size < 1_100_000
    assert attempt_journal.is_alive(tmp_path, WORKER)


@pytest.mark.parametrize("what", ["write_text", "replace"])
def test_a_journal_that_cannot_begin_anew_goes_on_and_fails_no_mail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    written = FileJournal(tmp_path, WORKER)
    written.record_data_end(FIRST)
    monkeypatch.setattr(Path, what, _fail)

    fill(written)
    written.record_data_end(SECOND)

    read = attempt_journal.read(tmp_path, WORKER) or {}
    assert (JournalEntry(), JournalEntry()) == (read[FIRST], read[SECOND])


def test_a_journal_that_cannot_be_opened_anew_stays_the_one_that_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = FileJournal(tmp_path, WORKER)
    monkeypatch.setattr(attempt_journal, "_append_to", _fail)

    fill(written)
    written.record_data_end(SECOND)

    assert JournalEntry() == (attempt_journal.read(tmp_path, WORKER) or {})[SECOND]


def test_a_folder_of_somebody_else_is_not_believed(tmp_path: Path) -> None:
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


def fill(written: FileJournal) -> None:
    """Note so many mails that a journal is longer than it may be."""
    for number in range(30_000):
        entry = (1_000_000 + number, 1)
        written.record_data_end(entry)
        written.record_reply(entry, 250)
        written.forget(entry)


def _fail(*_: object) -> None:
    raise OSError("no room, or too many files are open")
