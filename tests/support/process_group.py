"""A crew: the processes of one Postroom, each started, signalled and awaited by its name, as an operator would."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import psutil
from sqlalchemy import text

from delivery.records.database import DATABASE_UNAVAILABLE, Database, transaction
from delivery.records.views.invariants import CheckScope
from delivery.settings import Settings, environment_name
from tasks.health_checks import Severity, check
from tests.support.api_client import Headers
from tests.support.api_client import post as post_to
from tests.support.platform import ROOT, free_port
from tests.support.waiting import wait_until
from worker.embedded.servers import Server

API, DECIDE, SMTP = "api", "decide", "smtp"
START_S = 60.0
_END_S = 20.0
_ANSWER_S = 20.0
_SEEN = text("SELECT count(*) FROM worker WHERE pid = :pid")


class ProcessGroup:
    """Processes that share settings; `key` is the credential that the API is asked with."""

    def __init__(self, folder: Path, settings: Settings, **chosen: Any) -> None:
        self.folder = folder
        self.key: Headers = {}
        self.port = free_port()
        told = settings.model_dump(include=settings.model_fields_set)
        told = {**told, "journal_folder": str(folder / "journals"), "bell_grace_s": 1, "sweep_tick_s": 0.3, **chosen}
        self._environment = {environment_name(name): _spell(value) for name, value in told.items()}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *names: str, place: Path = ROOT, suffix: str = "", **variables: str) -> None:
        """Start the API or lanes of these names, from the code at `place`; `suffix` tells them from their like."""
        for name in names:
            command = ("-m", "api_stub", "--port", str(self.port)) if name == API else ("-m", "worker", "worker", name)
            self.run(name + suffix, sys.executable, *command, place=place, **variables)

    def serve(self, name: str, server: Server, *more: str) -> None:
        """Start an embedded server."""
        self.run(name, *server.arguments, *more, place=Path("/"), user=server.user)

    def run(self, name: str, *command: str, place: Path = ROOT, user: str | None = None, **variables: str) -> None:
        """Start any program."""
        environment = {**os.environ, **self._environment, "PYTHONPATH": str(place), **variables}  # noqa: TID251 - what children inherit
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                command,
                cwd=place,
                env=environment,
                user=user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def send_signal(self, name: str, how: signal.Signals) -> None:
        """Signal a process and, parent first, its children."""
        main = psutil.Process(self.processes[name].pid)
        family = [main, *main.children(recursive=True)] if how in _OF_THE_FAMILY else [main]
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(how)

    def stop(self, name: str, how: signal.Signals = signal.SIGTERM, *, within_s: float = _END_S) -> int:
        """Signal a process, wait for its end, and give its exit code."""
        self.send_signal(name, how)
        return self.processes.pop(name).wait(within_s)

    def await_ready(self, database: Database, *names: str) -> None:
        """Wait until these, or all of ours, do their work."""
        for name in names or tuple(self.processes):
            if name.startswith(API):
                wait_until(self.is_open, within_s=START_S)
            else:
                pid = self.processes[name].pid
                wait_until(lambda pid=pid: _is_seen(database, pid), within_s=START_S)  # type: ignore[misc] # bound now

    def is_open(self) -> bool:
        """Say whether the API answers that it is ready."""
        try:
            return httpx2.get(f"{self.url}/readyz", timeout=_ANSWER_S).status_code == 200
        except httpx2.TransportError:
            return False

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def living(self) -> dict[str, int]:
        """The process ids of those that live."""
        return {name: each.pid for name, each in self.processes.items() if each.poll() is None}

    def post(
        self, *account_ids: UUID, prefer: str = "respond-async", headers: Headers | None = None, **chosen: Any
    ) -> httpx2.Response:
        """Send a message by the API, with more headers; without a wish it does not wait for the verdict."""
        key = {**({} if headers and "Authorization" in headers else self.key), **(headers or {})}
        with httpx2.Client(base_url=self.url, timeout=_ANSWER_S) as client:
            return post_to(client, key, *account_ids, prefer=prefer, **chosen)

    def status_of(self, answer: httpx2.Response) -> str:
        """Ask the API how a message that it took in stands now."""
        read = httpx2.get(f"{self.url}{answer.headers['location']}", headers=self.key, timeout=_ANSWER_S)
        return str(read.json()["meta"]["status_reason"]) if read.status_code == 200 else f"{read.status_code}"

    def kill_all(self) -> None:
        """End everything at once."""
        for name, process in self.processes.items():
            with suppress(psutil.NoSuchProcess):
                self.send_signal(name, signal.SIGKILL)
            process.wait(_END_S)


_OF_THE_FAMILY = frozenset({signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT})


@contextmanager
def open_process_group(folder: Path, settings: Settings, **chosen: Any) -> Iterator[ProcessGroup]:
    """Give a crew that is dismissed when the block ends."""
    group = ProcessGroup(folder, settings, **chosen)
    try:
        yield group
    finally:
        group.kill_all()


def failed_checks(settings: Settings, database: Database) -> list[str]:
    """Name what `postroom doctor` finds at fault."""
    lines = check(settings, database, CheckScope(is_everything=True), timeout=timedelta(seconds=_ANSWER_S))
    return [line.name for line in lines if line.severity is Severity.FAULT]


def _spell(value: Any) -> str:
    return str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)


def _is_seen(database: Database, pid: int) -> bool:
    try:
        with transaction(database) as db:
            return bool(db.scalar(_SEEN, {"pid": pid}))
    except DATABASE_UNAVAILABLE:
        return False
