"""The journal of one worker process: how far each of its attempts got, told after its death by the page cache.

A line is written before the final dot of a mail and one after the answer to it; both survive `kill -9`. Beside the
journal lies a sign of life, a file that is locked for as long as its process lives. Neither holds anything personal.

The lines need not reach the disk: after a loss of power a journal of the boot before is not believed.
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
_JOURNAL, _SIGN, _NEW = ".journal", ".alive", ".new"
_ANY_ID = "-".join("[0-9a-f]" * digits for digits in (8, 4, 4, 4, 12))
# A line that a full disk cut short has no end, and counts for nothing.
_END = "."

AttemptKey = tuple[int, int]
"""The id of a recipient and the number of an attempt at it."""


class AttemptJournal(Protocol):
    """What is told of an attempt while it is under way."""

    def record_data_end(self, entry: AttemptKey) -> None:
        """Note that the final dot is about to be sent. Raises `OSError` when it cannot be noted: do not send it."""

    def record_reply(self, entry: AttemptKey, code: int) -> None:
        """Note how the relay answered the final dot."""

    def forget(self, entry: AttemptKey) -> None:
        """Take note that the outcome of this attempt is recorded elsewhere, for good."""


class NoJournal:
    """Notes of a process that nobody will look for."""

    def record_data_end(self, entry: AttemptKey) -> None:
        """Note nothing."""

    def record_reply(self, entry: AttemptKey, code: int) -> None:
        """Note nothing."""

    def forget(self, entry: AttemptKey) -> None:
        """Forget nothing."""


class FileJournal:
    """The notes of this process, in files of its own below `folder`."""

    def __init__(self, folder: Path, worker_id: UUID) -> None:
        prepare(folder)
        self._path = folder / f"{worker_id}{_JOURNAL}"
        self._sign_path = folder / f"{worker_id}{_SIGN}"
        self._head = f"\nboot {_this_boot()} {_END}\n"
        self._open: dict[AttemptKey, str] = {}
        self._turn = threading.Lock()
        self._file = _append_to(self._path)
        os.write(self._file, self._head.encode())
        self._sign = _append_to(self._sign_path)
        fcntl.flock(self._sign, fcntl.LOCK_EX)

    def record_data_end(self, entry: AttemptKey) -> None:
        """Note that the final dot is about to be sent. Raises `OSError` when it cannot be noted: do not send it."""
        self._write(entry, f"{entry[0]} {entry[1]} dot {_END}")

    def record_reply(self, entry: AttemptKey, code: int) -> None:
        """Note how the relay answered the final dot."""
        self._write(entry, f"{entry[0]} {entry[1]} answer {code} {_END}")

    def forget(self, entry: AttemptKey) -> None:
        """Take note that the outcome of this attempt is recorded elsewhere, for good."""
        with self._turn:
            self._open.pop(entry, None)
            if os.fstat(self._file).st_size > _LONGEST_BYTES:
                with suppress(OSError):  # Without room for a new one the old one goes on growing for a while.
                    self._begin_anew()

    def close(self) -> None:
        """End it. What is still open in it stays, for whoever looks."""
        with self._turn:
            if not self._open:
                self._path.unlink(missing_ok=True)
                self._sign_path.unlink(missing_ok=True)
            os.close(self._file)
            os.close(self._sign)

    def _write(self, entry: AttemptKey, line: str) -> None:
        # One write() on a file opened to append; it begins a new line whatever became of the last one.
        with self._turn:
            text = f"\n{line}\n"
            if os.write(self._file, text.encode()) < len(text):
                raise OSError("the journal could not be written as a whole")
            self._open[entry] = self._open.get(entry, "") + text

    def _begin_anew(self) -> None:
        """Keep what is open and nothing else. Whoever reads meanwhile finds the old file or the new one, whole."""
        new = self._path.with_suffix(_NEW)
        new.write_text("".join([self._head, *self._open.values()]))
        # Opened before it has the name: whatever fails here leaves the old one in its place, and whole.
        file = _append_to(new)
        try:
            new.replace(self._path)
        except OSError:
            os.close(file)
            raise
        os.close(self._file)
        self._file = file


def journal_folder(chosen: str) -> Path:
    """Give the folder that was chosen, or one of this user's own among the machine's temporary files."""
    return Path(chosen) if chosen else Path(tempfile.gettempdir()) / f"postroom-journals-{os.getuid()}"


def prepare(folder: Path) -> None:
    """Make the folder. Raises `OSError` when it belongs to somebody else, who could make us believe anything."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to somebody else; choose another POSTROOM_JOURNAL_FOLDER")


def is_alive(folder: Path, worker_id: UUID) -> bool | None:
    """Say whether this worker lives; None when nothing of it is on this machine."""
    try:
        sign = os.open(folder / f"{worker_id}{_SIGN}", os.O_RDONLY)
    except FileNotFoundError:
        return None
    with _closing(sign):
        try:
            fcntl.flock(sign, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def read(folder: Path, worker_id: UUID) -> Mapping[AttemptKey, JournalEntry] | None:
    """Read what this worker noted; None when its journal is not on this machine, or is of an earlier boot of it."""
    try:
        lines = (folder / f"{worker_id}{_JOURNAL}").read_text().splitlines()
    except FileNotFoundError:
        return None
    boot = _this_boot()
    if not boot or f"boot {boot} {_END}" not in lines:
        return None
    return {entry: trace for line in lines if (read_line := _read(line)) for entry, trace in [read_line]}


def read_by_token(folder: Path, token: UUID) -> Mapping[AttemptKey, JournalEntry] | None:
    """Read what the worker noted that made this claim token, which begins as the worker's id does."""
    for path in folder.glob(f"{str(token)[:_KEY_CHARACTERS]}*{_JOURNAL}"):
        return read(folder, UUID(path.stem))
    return None


def silent(folder: Path, *, since: datetime) -> list[UUID]:
    """List the workers of this machine that are dead and noted nothing since then."""
    found = folder.glob(f"{_ANY_ID}{_JOURNAL}")
    old = [UUID(path.stem) for path in found if _written_at(path) < since.timestamp()]
    return [each for each in old if not is_alive(folder, each)]


def remove(folder: Path, worker_id: UUID) -> None:
    """Remove the files of a dead worker of which nothing is open any more."""
    for suffix in (_NEW, _JOURNAL, _SIGN):
        (folder / f"{worker_id}{suffix}").unlink(missing_ok=True)


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # Somebody else removed it this moment; it is nobody's to remove again.
        return math.inf


def _read(line: str) -> tuple[AttemptKey, JournalEntry] | None:
    words = line.split()
    if len(words) < 4 or words[-1] != _END or not all(each.isdecimal() for each in words[:2]):
        return None
    code = int(words[3]) if words[2] == "answer" and words[3].lstrip("-").isdecimal() else None
    return (int(words[0]), int(words[1])), JournalEntry(code)


def _this_boot() -> str:
    """Name this boot of the machine; nothing where it has no name."""
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
