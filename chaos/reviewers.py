"""The reviewers of a trial: they decide held messages as the schedule plans it, while faults happen."""

import sys
import threading
from datetime import timedelta
from uuid import UUID

from chaos.clients import subject
from chaos.cluster import Cluster
from chaos.history import History
from chaos.schedule import Ending, Planned
from delivery.records.database import DATABASE_UNAVAILABLE, Database, open_database, transaction
from delivery.records.pipeline import vetting_cases
from delivery.records.pipeline.vetting_cases import CaseView
from delivery.rules.case_decisions import Actor, ActorKind, CaseDecision, CaseNotOpen, CaseVerdict
from delivery.vocabulary import CaseState
from tasks.broker.doorbell import SilentDoorbell
from tasks.context import StepContext
from tasks.steps.review import decide_case
from tests.support.processes import run_to_end

_LOOK_EVERY_S = 0.3
_CASES_AT_ONCE = 100
_COMMAND_TIMEOUT_S = 30
_STAFF = Actor(ActorKind.STAFF, "staff", "staff")
_PAUSE = timedelta(seconds=1)
# A command takes seconds to start on a busy machine, and has to come before the decision is applied.
_PAUSE_BEFORE_UNDO = timedelta(seconds=30)
_VERDICTS = {CaseState.APPROVED: CaseVerdict.APPROVE, CaseState.REJECTED: CaseVerdict.REJECT}
_DECISIONS = {Ending.APPROVED: CaseState.APPROVED, Ending.REJECTED: CaseState.REJECTED}


class Reviewers:
    """Decides every open case whose decision the schedule plans, until it is stopped. Every second one has a pause.

    With `crash_at` each decision, or its undo, runs as a command with that crash point armed, until it has fired.
    """

    def __init__(
        self, cluster: Cluster, messages: tuple[Planned, ...], run: str, history: History, crash_at: str = ""
    ) -> None:
        self._cluster = cluster
        self._planned = {subject(run, each.number): each for each in messages if each.ending in _DECISIONS}
        self._history = history
        self._crash_at = crash_at
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="reviewers", daemon=True)

    def start(self) -> None:
        """Start to look for open cases."""
        self._thread.start()

    def stop(self) -> None:
        """Decide no more."""
        self._is_over.set()
        self._thread.join()

    def _work(self) -> None:
        database = open_database(self._cluster.direct_settings, connections=1)
        while not self._is_over.wait(_LOOK_EVERY_S):
            try:
                self._decide_all(database)
            except DATABASE_UNAVAILABLE:
                continue
        database.dispose()

    def _decide_all(self, database: Database) -> None:
        with transaction(database) as db:
            found = vetting_cases.open_cases(db, _CASES_AT_ONCE)
        for case in found:
            if case.subject in self._planned:
                self._decide(database, case, self._planned[case.subject])

    def _decide(self, database: Database, case: CaseView, planned: Planned) -> None:
        state = _DECISIONS[planned.ending]
        verdict = _VERDICTS[state]
        self._history.note_decision(planned.number, state)
        if self._crash_at and not self._cluster.sentinel.exists():
            is_undo = self._crash_at.startswith("undo_")
            if is_undo:
                self._decide_here(database, case.case_id, CaseDecision(verdict, _STAFF, pause=_PAUSE_BEFORE_UNDO))
            self._command(case.case_id, "undo" if is_undo else str(verdict))
            return
        pause = timedelta() if planned.number % 2 else _PAUSE
        self._decide_here(database, case.case_id, CaseDecision(verdict, _STAFF, pause=pause))

    def _decide_here(self, database: Database, case_id: UUID, decision: CaseDecision) -> None:
        try:
            decide_case(StepContext(self._cluster.direct_settings, database, SilentDoorbell()), case_id, decision)
        except CaseNotOpen:  # An earlier decision was committed although its commit failed here.
            return

    def _command(self, case_id: UUID, verb: str) -> None:
        command = [sys.executable, "-m", "worker", "vetting", verb, str(case_id), "--as", "staff"]
        environment = self._cluster.environment(self._crash_at)
        run_to_end(command, cwd=self._cluster.folder, environment=environment, timeout_s=_COMMAND_TIMEOUT_S)
