"""PostgreSQL and Valkey: run them for a block, or for one test run, shared by all its processes.

In a test run a separate guardian process holds the servers and their folder. It ends when its standard input ends, and
that happens however the test run ends: by itself, by Ctrl-C, by SIGTERM or by SIGKILL.
"""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import redis

from delivery.records.database import answers
from tests.support.processes import ROOT, START_S, Process, running
from worker.embedded.servers import NotInstalled, Server, named_database, prepare_postgres, prepare_valkey

_LOCK_TIMEOUT_MS = 5000
_TEMPLATE = "postroom_template"
# Every pytest-xdist worker has a key space of its own.
_KEY_SPACES = 64


class NotAvailable(Exception):  # noqa: N818 - a fact about the environment
    """There are no servers to test on; the message names what to install."""


@dataclass(frozen=True, slots=True)
class Servers:
    """The addresses of the servers of this run."""

    postgres_url: str
    valkey_url: str

    def database_url(self, name: str) -> str:
        """Return the address of a database on the server."""
        return named_database(self.postgres_url, name)

    def broker_url(self, space: int) -> str:
        """Return the address of a key space of the broker."""
        return self.valkey_url.replace("?db=0", f"?db={space % _KEY_SPACES}")

    def create_database(self, name: str, *, template: str | None = _TEMPLATE) -> str:
        """Make a database, by default with our tables in it, and return its address."""
        with psycopg.connect(self.postgres_url, autocommit=True) as db:
            db.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'.encode())
            db.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template or "template1"}"'.encode())
            # A test that waits for a lock that it holds itself would wait forever.
            db.execute(f'ALTER DATABASE "{name}" SET lock_timeout = {_LOCK_TIMEOUT_MS}'.encode())
        return self.database_url(name)


class Guardian:
    """The process that holds the servers."""

    def __init__(self) -> None:
        # A session of its own: Ctrl-C at the terminal reaches the tests, and the guardian only through its input.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.servers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            start_new_session=True,
        )

    def await_servers(self) -> Servers:
        """Wait until the servers answer. Raises `NotAvailable` where they are not installed."""
        assert self._process.stdout is not None
        answer = json.loads(
            self._process.stdout.readline() or '{"why": "The guardian of the servers crashed; see above."}'
        )
        if "why" in answer:
            raise NotAvailable(answer["why"])
        return Servers(**answer)

    def dismiss(self) -> None:
        """Stop the servers and wait until they are gone."""
        self._process.communicate(timeout=START_S)


def prepare_template(servers: Servers, migrate: Callable[[str], None]) -> None:
    """Make the database from which the databases of all test processes are copied."""
    migrate(servers.create_database(_TEMPLATE, template=None))


def main() -> None:
    """Hold the servers until standard input ends."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(TemporaryDirectory(prefix="postroom-tests-", ignore_cleanup_errors=True))
            answer = asdict(stack.enter_context(_serve(Path(folder))))
        except NotInstalled as error:
            answer = {"why": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
        sys.stdin.read()


@contextmanager
def _serve(folder: Path) -> Iterator[Servers]:
    postgres = prepare_postgres(folder / "postgres", durable=False)
    valkey = prepare_valkey(folder / "valkey")
    more = ("--appendonly", "no", "--databases", str(_KEY_SPACES))
    with serving(postgres, stop_signal=signal.SIGQUIT), serving(valkey, *more, stop_signal=signal.SIGKILL):
        yield Servers(postgres.url, valkey.url)


@contextmanager
def serving(server: Server, *more: str, stop_signal: signal.Signals) -> Iterator[Process]:
    """Run PostgreSQL or Valkey until the block ends; the block begins once it answers."""
    command = (*server.arguments, *more)
    with running(command, lambda: is_up(server), cwd=Path("/"), user=server.user, stop_signal=stop_signal) as process:
        yield process


def is_up(server: Server) -> bool:
    """Return whether PostgreSQL or Valkey answers."""
    if server.url.startswith("postgresql:"):
        return answers(server.url)
    try:
        with redis.Redis.from_url(server.url, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


if __name__ == "__main__":
    main()
