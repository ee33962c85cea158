"""The processes of one Postroom, each started, signalled and awaited by its name, as an operator would."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
from sqlalchemy import text

from delivery.records.database import DATABASE_UNAVAILABLE, Database, transaction
from delivery.records.views.invariants import CheckScope
from delivery.settings import Settings
from tasks.check_results import Severity
from tasks.health_checks import check
from tests.support.api_client import Headers
from tests.support.api_client import post as post_to
from tests.support.ports import free_port, is_page_served
from tests.support.processes import ROOT, START_S, NamedProcesses
from tests.support.seed import environment_of
from tests.support.waiting import wait_until

API, DECIDE, SMTP = "api", "decide", "smtp"
_ANSWER_S = 20.0
_HAS_REGISTERED = text("SELECT count(*) FROM worker WHERE pid = :pid")


class ProcessGroup(NamedProcesses):
    """Processes that share settings; `key` holds the headers with which its API is called."""

    def __init__(self, folder: Path, settings: Settings, **chosen: Any) -> None:
        super().__init__(folder)
        self.key: Headers = {}
        self.port = free_port()
        common = settings.model_dump(include=settings.model_fields_set)
        brisk = {"journal_folder": folder / "journals", "bell_grace_s": 1, "sweep_tick_s": 0.3}
        self._environment = environment_of({**common, **brisk, **chosen})

    def start(self, *names: str, place: Path = ROOT, suffix: str = "", **variables: str) -> None:
        """Start the API or lanes of these names from the code at `place`; `suffix` makes their names unique."""
        for name in names:
            command = ("-m", "api_stub", "--port", str(self.port)) if name == API else ("-m", "worker", "worker", name)
            self.run(name + suffix, sys.executable, *command, place=place, **variables)

    def run(self, name: str, *command: str, place: Path = ROOT, **variables: str) -> None:
        """Start any program with the settings in its environment."""
        environment = {**self._environment, "PYTHONPATH": str(place), **variables}
        self.launch(name, *command, cwd=place, environment=environment)

    def await_ready(self, database: Database, *names: str) -> None:
        """Wait until these processes, or all, are ready: the API answers so, a worker has registered itself."""
        for name in names or tuple(self.processes):
            if name.startswith(API):
                wait_until(self.is_open, within_s=START_S)
            else:
                pid = self.processes[name].pid
                wait_until(lambda pid=pid: _has_registered(database, pid), within_s=START_S)  # type: ignore[misc] # bound now

    def is_open(self) -> bool:
        """Return whether the API answers that it is ready."""
        return is_page_served(self.port, "/readyz", timeout_s=_ANSWER_S)

    @property
    def url(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self.port}"

    def post(
        self, *account_ids: UUID, prefer: str = "respond-async", headers: Headers | None = None, **chosen: Any
    ) -> httpx2.Response:
        """Send a message to the API, with more headers; by default it does not wait for the verdict."""
        key = {**({} if headers and "Authorization" in headers else self.key), **(headers or {})}
        with httpx2.Client(base_url=self.url, timeout=_ANSWER_S) as client:
            return post_to(client, key, *account_ids, prefer=prefer, **chosen)

    def status_of(self, answer: httpx2.Response) -> str:
        """Read from the API the present status of a message that it accepted."""
        read = httpx2.get(f"{self.url}{answer.headers['location']}", headers=self.key, timeout=_ANSWER_S)
        return str(read.json()["meta"]["status_reason"]) if read.status_code == 200 else f"{read.status_code}"


@contextmanager
def open_process_group(folder: Path, settings: Settings, **chosen: Any) -> Iterator[ProcessGroup]:
    """Yield a group without processes; those that run when the block ends are killed."""
    group = ProcessGroup(folder, settings, **chosen)
    try:
        yield group
    finally:
        group.kill(*group.processes)


def failed_checks(settings: Settings, database: Database) -> list[str]:
    """Return the names of the checks that `postroom doctor` reports as faults."""
    lines = check(settings, database, CheckScope(is_everything=True), timeout=timedelta(seconds=_ANSWER_S))
    return [line.name for line in lines if line.severity is Severity.FAULT]


def _has_registered(database: Database, pid: int) -> bool:
    try:
        with transaction(database) as db:
            return bool(db.scalar(_HAS_REGISTERED, {"pid": pid}))
    except DATABASE_UNAVAILABLE:
        return False
