"""A worker that crashed: its id, its journal, and a step context that recovers what it left."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from delivery.attempt_journal import FileJournal
from tasks.context import StepContext

DEAD_WORKER = uuid4()


def recovering_context(context: StepContext, folder: Path) -> StepContext:
    """Return a context with its journals in this folder, and a pause of 20 ms between two rounds of its sweep."""
    settings = context.settings.model_copy(update={"journal_folder": str(folder), "sweep_tick_s": 0.02})
    return replace(context, settings=settings)


@contextmanager
def open_journal(folder: Path) -> Iterator[FileJournal]:
    """Yield the journal of the dead worker, and close it when the block ends."""
    journal = FileJournal(folder, DEAD_WORKER)
    try:
        yield journal
    finally:
        journal.close()
