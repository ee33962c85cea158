"""Supervise the embedded stack for `postroom up`: start every program, keep it running, and stop it."""

import fcntl
import os
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import IO

from delivery.records.database import Database, open_database
from delivery.records.migrate import create_database, migrate
from delivery.records.roles import prepare_roles
from delivery.settings import DEMO_ENVIRONMENT_FILE
from worker.embedded import demo, programs
from worker.embedded.child import Child, Program
from worker.embedded.leftovers import stop_leftovers
from worker.embedded.programs import EmbeddedStack
from worker.embedded.rehearsal import seed_rehearsal
from worker.embedded.servers import NotInstalled
from worker.embedded.system_user import ForeignFolder

_START_TIMEOUT_S = 30.0
_CHECK_EVERY_S = 0.1
_PROBE_EVERY_S = 5.0
# The API finishes the requests under way for 12 s. With the time of the servers, stopping takes less than 20 s.
_STOP_TIMEOUT_S = 12.5
_SERVER_STOP_TIMEOUT_S = 5.0


class CannotStart(Exception):  # noqa: N818 - its text is shown to a person as it is
    """Something prevents the start; the text says what, and what to do."""


def run(data: Path, port: int, *, has_rehearsal: bool) -> None:
    """Run everything with its data in `data` and HTTP on `port`; return after SIGTERM, SIGINT or SIGHUP.

    With `has_rehearsal` the desk has cases from the first start on.

    Raises `SystemExit` with a sentence when the start fails; what was started is stopped first.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # Under nohup SIGHUP stays ignored.
            signal.signal(number, lambda *_: stopping.set())
    os.umask(0o077)  # Only this user may read the mails, logs and secrets below `data`.
    data.mkdir(parents=True, exist_ok=True)
    try:
        with _locked(data):
            stop_leftovers(data, _print)
            Supervisor(data.resolve(), port, stopping, has_rehearsal=has_rehearsal).run()
    except (CannotStart, NotInstalled, ForeignFolder) as error:
        sys.exit(f"postroom: {error}")


class Supervisor:
    """Starts every program in order, restarts those that end, and stops them all."""

    def __init__(self, data: Path, port: int, stopping: threading.Event, *, has_rehearsal: bool) -> None:
        self._data = data
        self._port = port
        self._stopping = stopping
        self._has_rehearsal = has_rehearsal
        self._children: list[Child] = []
        self._began_at = monotonic()

    def run(self) -> None:
        """Start all programs, print how to reach them, and restart those that end until asked to stop."""
        with _bound_sockets(self._port) as sockets:
            try:
                self._start_all(sockets)
                # On a thread of its own, because a probe of a frozen process takes seconds.
                threading.Thread(target=self._end_frozen, name="frozen", daemon=True).start()
                while not self._stopping.wait(_CHECK_EVERY_S):
                    self._restart_dead()
            finally:
                self._stop_all()

    def _start_all(self, sockets: programs.Sockets) -> None:
        _print("[1/4] starting PostgreSQL, Valkey and the mail sink")
        stack = EmbeddedStack(self._data, sockets, self._secret)
        self._start(*stack.servers())
        _print("[2/4] preparing the database")
        demo.write_atomically(self._data / DEMO_ENVIRONMENT_FILE.name, stack.environment_file())
        database = self._prepare(stack)
        _print("[3/4] starting the API and the workers")
        self._start(*stack.workers())
        if self._stopping.is_set():
            return
        facts = self._facts(stack, database)
        database.dispose()
        _print(f"[4/4] everything is up ({monotonic() - self._began_at:.1f} s)")
        _print_summary(facts, self._data)

    def _secret(self, name: str) -> str:
        """Return a secret of this data folder: that of earlier starts, or a new one."""
        path = self._data / name
        if not path.exists():
            demo.write_atomically(path, secrets.token_hex(32))
        return path.read_text(encoding="ascii")

    def _prepare(self, stack: EmbeddedStack) -> Database:
        create_database(stack.maintenance_url, programs.DATABASE)
        superuser = open_database(stack.superuser_settings, connections=1)
        prepare_roles(superuser, {})
        superuser.dispose()
        owner = open_database(stack.owner_settings, connections=2)
        migrate(owner)
        owner.dispose()
        database = open_database(stack.settings, connections=2)
        demo.seed(database)
        if self._has_rehearsal:
            seed_rehearsal(database)
        return database

    def _facts(self, stack: EmbeddedStack, database: Database) -> dict[str, object]:
        path = self._data / "demo.json"
        facts: dict[str, object] = {
            **stack.addresses(),
            **demo.credentials(database, stack.settings, path),
            **demo.staff_login(database, path),
            "accounts": demo.account_list(database),
        }
        demo.write_facts(path, facts)
        return facts

    def _start(self, *wanted: Program) -> None:
        """Start these programs, and wait until each is healthy. Raises `CannotStart`."""
        logs = self._data / "log"
        logs.mkdir(exist_ok=True)
        children = [Child(program, logs / f"{program.name}.log", _print) for program in wanted]
        self._children += children
        for child in children:
            child.start()
        until = monotonic() + _START_TIMEOUT_S
        while not all(child.is_healthy for child in children):
            if self._stopping.wait(_CHECK_EVERY_S):
                return
            self._restart_dead()
            if monotonic() > until:
                raise CannotStart(_why_not_up([child for child in children if not child.is_healthy]))

    def _restart_dead(self) -> None:
        for child in self._children:
            child.restart_if_dead()

    def _end_frozen(self) -> None:
        """Kill processes that froze. While a server is away the others cannot work, and are left alone."""
        while not self._stopping.wait(_PROBE_EVERY_S):
            is_served = all(child.is_healthy for child in self._children if child.program.is_server)
            for child in self._children:
                if not child.program.is_server:
                    child.end_if_frozen() if is_served else child.excuse()

    def _stop_all(self) -> None:
        """Stop every program, and the database and the broker after those that use them."""
        _print("stopping")
        servers = [child for child in self._children if child.program.is_server]
        _stop([child for child in self._children if child not in servers], _STOP_TIMEOUT_S)
        _stop(servers, _SERVER_STOP_TIMEOUT_S)
        _print("stopped; everything is kept for the next start")


def _stop(children: list[Child], timeout_s: float) -> None:
    for child in children:
        child.ask_to_stop()
    until = monotonic() + timeout_s
    for child in children:
        if not child.finish(until - monotonic()):
            _print(f"{child.program.name} did not stop in time and was killed")


def _why_not_up(children: list[Child]) -> str:
    return "\n".join(
        f"{child.program.name} did not come up. The end of {child.log_path}:\n{child.log_tail()}" for child in children
    )


@contextmanager
def _locked(data: Path) -> Iterator[None]:
    """Hold the lock of this data folder against a second supervisor. It ends with the process, also at a crash."""
    with (data / "supervisor.lock").open("a+", encoding="ascii") as lock:
        _take(lock, data)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def _take(lock: IO[str], data: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.seek(0)
        raise CannotStart(
            f"it is already running from {data} (process {lock.read().strip() or 'unknown'}). "
            "Stop that one first, or use another checkout."
        ) from error


@contextmanager
def _bound_sockets(port: int) -> Iterator[programs.Sockets]:
    """Keep the ports bound while the supervisor runs, so that a child that restarts gets the same ones."""
    with _bind(port) as http, _bind_near(port + 1) as sink_http, _bind_near(0) as smtp:
        yield programs.Sockets(http, sink_http, smtp)


def _bind(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
        bound.listen(1024)
    except (OSError, OverflowError) as error:
        bound.close()
        raise CannotStart(f"port {port} cannot be used ({_cause(error)}). Choose another: make up PORT=8090") from error
    return bound


def _bind_near(port: int) -> socket.socket:
    """Bind this port or, if it is taken, any free one."""
    try:
        return _bind(port)
    except CannotStart:
        return _bind(0)


def _cause(error: Exception) -> str:
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else "it is not a port number"


def _print_summary(facts: dict[str, object], data: Path) -> None:
    print(  # noqa: T201 - the output of `make up`
        f"""
Postroom is up. Stop it with Ctrl-C.

  API docs    {facts["docs_url"]}
  Desk        {facts["desk_url"]}  (name {facts["staff_name"]}, password {facts["staff_password"]})
  Mail sink   {facts["mail_sink_url"]}
  Data        {data}  (facts for programs: {data / "demo.json"})

Send a message to an inbox, a mailbox, somebody who blocks everybody and a mailbox that refuses:

{demo.curl_example(str(facts["base_url"]), str(facts["api_key"]))}
""",
        flush=True,
    )


def _print(line: str) -> None:
    with suppress(OSError):  # The terminal may be closed; the programs must be stopped all the same.
        print(f"postroom: {line}", flush=True)  # noqa: T201 - progress for the person who waits
