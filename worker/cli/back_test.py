"""Run a back-test: read stored messages, apply a rule set to each as of its own time, and add up what comes of it."""

import hashlib
import json
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from uuid import UUID

from pydantic import TypeAdapter
from rich.console import Console
from rich.progress import Progress

from delivery.detection.facts import Facts
from delivery.detection.folding import text_key
from delivery.records.database import Database, open_database, transaction
from delivery.records.rule_sets import history, past_messages
from delivery.records.rule_sets.past_messages import PastMessage
from delivery.rulebook.back_test import BackTest, TriedMessage
from delivery.rulebook.documents import read_rule_set, write_rule_set
from delivery.rules.rule_engine import FIRST_MESSAGE, ReadMessage, RuleEngine
from delivery.rules.rule_set import Mode, RuleSet
from delivery.settings import Settings

_PORTION = 1000


@dataclass(frozen=True, slots=True)
class Trial:
    """What every process of a back-test needs: the settings and the set as a document."""

    settings: Settings
    document: str


def run(config: Settings, rule_set: RuleSet, ids: Sequence[UUID], *, state: Path | None, processes: int) -> BackTest:
    """Try a set on these messages, with progress on standard error. Its rules all count as live.

    With `state`, what is counted so far is kept in that file, and a run that was interrupted goes on from there.
    Raises `OtherBackTest` if the file is of another one, and `KeyboardInterrupt` when it is interrupted.
    """
    trial = Trial(config, write_rule_set(_all_live(rule_set, config)))
    key = hashlib.sha256("".join([trial.document, *map(str, ids)]).encode()).hexdigest()
    total, done = _resumed(state, key)
    portions = [ids[start : start + _PORTION] for start in range(done * _PORTION, len(ids), _PORTION)]
    with (
        Progress(console=Console(stderr=True), transient=True) as progress,
        ProcessPoolExecutor(processes, get_context("spawn"), _prepare, (trial,)) as pool,
    ):
        bar = progress.add_task("Back-test", total=len(ids), completed=done * _PORTION)
        for part in pool.map(_try_portion, portions):
            total.add(part)
            done += 1
            progress.update(bar, completed=min(len(ids), done * _PORTION))
            _keep(state, key, total, done)
    return total


def find_messages(database: Database, since: datetime, until: datetime) -> list[UUID]:
    """Return all messages of this time, oldest first.

    They are read a page at a time: PostgreSQL ends a transaction in which a client is busy with a million rows.
    """
    found: list[UUID] = []
    while True:
        with transaction(database) as db:
            page = past_messages.ids_between(db, since, until, after=found[-1] if found else past_messages.BEGINNING)
        if not page:
            return found
        found += page


def _all_live(rule_set: RuleSet, config: Settings) -> RuleSet:
    rules = tuple(replace(rule, mode=Mode.LIVE) for rule in rule_set.rules if rule.mode is not Mode.DRAFT)
    return replace(
        rule_set, rules=rules or rule_set.rules, platform_names=config.own_names, platform_domains=config.own_domains
    )


_engines: list[tuple[RuleEngine, Database]] = []
"""The engine and the database of this process, made once by `_prepare`."""


def _prepare(trial: Trial) -> None:
    # Ctrl-C reaches every process of the terminal. The first one ends the run and the others with it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _engines.append((RuleEngine(read_rule_set(trial.document)), open_database(trial.settings, connections=1)))


def _try_portion(ids: Sequence[UUID]) -> BackTest:
    (engine, database), counted = _engines[0], BackTest()
    with transaction(database) as db:
        past = past_messages.read(db, ids)
        start = time.process_time()
        read = [engine.read(each.message) for each in past]
        wanted = {
            each.message_id: text_key(one.read.text.folded)
            for each, one in zip(past, read, strict=True)
            if engine.needs_history(one)
        }
        cpu_s = time.process_time() - start
        known = history.histories(db, wanted)
    start = time.process_time()
    counted.count(_tried(engine, past, read, known))
    counted.cpu_s = cpu_s + time.process_time() - start
    return counted


def _tried(
    engine: RuleEngine, past: Sequence[PastMessage], read: Sequence[ReadMessage], known: Mapping[UUID, Facts]
) -> Iterator[TriedMessage]:
    for each, one in zip(past, read, strict=True):
        yield TriedMessage(
            message_id=str(each.message_id),
            day=f"{each.created_at:%Y-%m-%d}",
            was_held=each.was_held,
            case_state=each.case_state,
            result=engine.apply(one, known.get(each.message_id, FIRST_MESSAGE)),
        )


class OtherBackTest(ValueError):  # noqa: N818 - a fact about the file
    """The file of an interrupted back-test is that of another one: other rules or another time."""


def _resumed(state: Path | None, key: str) -> tuple[BackTest, int]:
    """Return what an interrupted run of the same back-test counted, and how many portions it did."""
    if state is None or not state.exists():
        return BackTest(), 0
    kept = json.loads(state.read_text("utf-8"))
    if kept["key"] != key:
        raise OtherBackTest(f"{state} is of another back-test. Name another file, or remove it.")
    return TypeAdapter(BackTest).validate_python(kept["counted"]), int(kept["done"])


def _keep(state: Path | None, key: str, counted: BackTest, done: int) -> None:
    if state is not None:
        fresh = state.with_suffix(".part")
        fresh.write_text(json.dumps({"key": key, "done": done, "counted": asdict(counted)}), "utf-8")
        fresh.replace(state)
