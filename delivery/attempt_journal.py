"""The journal of one worker process: how far each of its attempts got, for other workers to read after a crash.

A line is written before the final dot of a mail and one after the relay's reply to it. Both survive `kill -9`, because
they are in the page cache. Beside the journal is a liveness file, which its process keeps locked while it runs.
Neither holds personal data.

The lines need not reach the disk: a journal counts only in the boot that wrote it.
"""

import fcntl
import math
import os
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from delivery.rules.worker_deaths import JournalEntry

_LONGEST_BYTES = 1024 * 1024
_KEY_CHARACTERS = 18  # Eight bytes of a UUID, as text with its hyphens.
_JOURNAL, _LIVENESS, _NEW = ".journal", ".alive", ".new"
_ANY_ID = "-".join("[0-9a-f]" * digits for digits in (8, 4, 4, 4, 12))
# Ends each line. A line that a full disk cut short lacks it and is ignored.
_END = "."

AttemptKey = tuple[int, int]
"""The id of a recipient and the number of an attempt at it."""


class AttemptJournal(Protocol):
    """Records how far attempts got while they are under way."""

    def record_data_end(self, entry: AttemptKey) -> None:
        """Record that the final dot is about to be sent. Raises `OSError` when that fails: then do not send it."""

    def record_reply(self, entry: AttemptKey, code: int) -> None:
        """Record the code of the relay's reply to the final dot. Raises `OSError`."""

    def may_have_ended(self, entry: AttemptKey) -> bool:
        """Return whether the final dot of this attempt may have been sent."""

    def forget(self, entry: AttemptKey) -> None:
        """Drop the entry of this attempt, because its outcome is committed in the database."""


class NoJournal:
    """A journal for processes whose attempts no other process resolves. It records nothing."""

    def record_data_end(self, entry: AttemptKey) -> None:
        """Record nothing."""

    def record_reply(self, entry: AttemptKey, code: int) -> None:
        """Record nothing."""

    def may_have_ended(self, entry: AttemptKey) -> bool:
        """Return that it may have been sent: nothing is known."""
        del entry
        return True

    def forget(self, entry: AttemptKey) -> None:
        """Drop nothing."""


class FileJournal:
    """The journal of this process, in files of its own in `folder`. Safe for several threads.

    Raises `OSError` when the files cannot be made.
    """

    def __init__(self, folder: Path, worker_id: UUID) -> None:
        prepare(folder)
        self._path = folder / f"{worker_id}{_JOURNAL}"
        self._liveness_path = folder / f"{worker_id}{_LIVENESS}"
        self._head = f"\nboot {_this_boot()} {_END}\n"
        self._open: dict[AttemptKey, str] = {}
        self._lock = threading.Lock()
        self._file = _append_to(self._path)
        os.write(self._file, self._head.encode())
        self._liveness_file = _append_to(self._liveness_path)
        fcntl.flock(self._liveness_file, fcntl.LOCK_EX)

    def record_data_end(self, entry: AttemptKey) -> None:
        """Record that the final dot is about to be sent. Raises `OSError` when that fails: then do not send it."""
        self._write(entry, f"{entry[0]} {entry[1]} dot {_END}")

    def record_reply(self, entry: AttemptKey, code: int) -> None:
        """Record the code of the relay's reply to the final dot. Raises `OSError`."""
        self._write(entry, f"{entry[0]} {entry[1]} answer {code} {_END}")

    def may_have_ended(self, entry: AttemptKey) -> bool:
        """Return whether the final dot of this attempt may have been sent."""
        with self._lock:
            return entry in self._open

    def forget(self, entry: AttemptKey) -> None:
        """Drop the entry of this attempt, because its outcome is committed in the database."""
        with self._lock:
            self._open.pop(entry, None)
            if os.fstat(self._file).st_size > _LONGEST_BYTES:
                with suppress(OSError):  # On a full disk there is no room for a new file, so the old one grows on.
                    self._rewrite()

    def close(self) -> None:
        """Close the files. If an entry is still open they stay, so that another worker can read them."""
        with self._lock:
            if not self._open:
                self._path.unlink(missing_ok=True)
                self._liveness_path.unlink(missing_ok=True)
            os.close(self._file)
            os.close(self._liveness_file)

    def _write(self, entry: AttemptKey, line: str) -> None:
        # One write() on a file opened to append. It begins with a line break, in case the last line was cut short.
        with self._lock:
            text = f"\n{line}\n"
            if os.write(self._file, text.encode()) < len(text):
                raise OSError("the journal could not be written completely")
            self._open[entry] = self._open.get(entry, "") + text

    def _rewrite(self) -> None:
        """Replace the file by one with the open entries only. Other processes read either the old file or the new."""
        new = self._path.with_suffix(_NEW)
        new.write_text("".join([self._head, *self._open.values()]))
        # Opened before it is renamed, so that any failure leaves the old file in its place and complete.
        file = _append_to(new)
        try:
            new.replace(self._path)
        except OSError:
            os.close(file)
            raise
        os.close(self._file)
        self._file = file


def journal_folder(chosen: str) -> Path:
    """Return the folder that the setting `journal_folder` names; if it is empty, a temporary folder of this user."""
    return Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"postroom-journals-{os.getuid()}"


def prepare(folder: Path) -> None:
    """Create the folder. Raises `OSError` when another user owns it, because that user could forge journals."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user; choose another POSTROOM_JOURNAL_FOLDER")


def is_alive(folder: Path, worker_id: UUID) -> bool | None:
    """Check whether this worker is running; None when its liveness file is not on this machine."""
    try:
        liveness_file = os.open(folder / f"{worker_id}{_LIVENESS}", os.O_RDONLY)
    except FileNotFoundError:
        return None
    with _closing(liveness_file):
        try:
            fcntl.flock(liveness_file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def read(folder: Path, worker_id: UUID) -> Mapping[AttemptKey, JournalEntry] | None:
    """Read this worker's journal; None when it is not on this machine or was written in an earlier boot."""
    try:
        lines = (folder / f"{worker_id}{_JOURNAL}").read_text().splitlines()
    except FileNotFoundError:
        return None
    boot = _this_boot()
    if not boot or f"boot {boot} {_END}" not in lines:
        return None
    return dict(each for line in lines if (each := _read_line(line)))


def read_by_token(folder: Path, token: UUID) -> Mapping[AttemptKey, JournalEntry] | None:
    """Read the journal of the worker that made this claim token; the token begins with half of the worker's id."""
    for path in folder.glob(f"{str(token)[:_KEY_CHARACTERS]}*{_JOURNAL}"):
        return read(folder, UUID(path.stem))
    return None


def silent(folder: Path, *, since: datetime) -> list[UUID]:
    """Return the workers of this machine that are not running and wrote nothing to their journal since then."""
    journals = folder.glob(f"{_ANY_ID}{_JOURNAL}")
    worker_ids = [UUID(path.stem) for path in journals if _written_at(path) < since.timestamp()]
    return [worker_id for worker_id in worker_ids if not is_alive(folder, worker_id)]


def remove(folder: Path, worker_id: UUID) -> None:
    """Remove the files of a crashed worker that has no open attempts any more."""
    for suffix in (_NEW, _JOURNAL, _LIVENESS):
        (folder / f"{worker_id}{suffix}").unlink(missing_ok=True)


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # Another worker has just removed it, so it must not count as old.
        return math.inf


def _read_line(line: str) -> tuple[AttemptKey, JournalEntry] | None:
    words = line.split()
    if len(words) < 4 or words[-1] != _END or not all(each.isdecimal() for each in words[:2]):
        return None
    code = int(words[3]) if words[2] == "answer" and words[3].lstrip("-").isdecimal() else None
    return (int(words[0]), int(words[1])), JournalEntry(code)


def _this_boot() -> str:
    """Return the id of this boot of the machine; an empty text where the system has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _append_to(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


@contextmanager
def _closing(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)
