"""PgBouncer and PostgreSQL 15 of Debian, and a streaming replica of the PostgreSQL that the tests use."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from pwd import getpwuid
from urllib.parse import parse_qs, urlsplit

import psycopg

from tests.peers.parts import PEER_ID, UnpackedPart, as_user
from tests.support.ports import free_port, is_listening
from tests.support.processes import Process
from tests.support.servers import serving
from worker.embedded.servers import postgres_program, prepare_postgres

USER, PASSWORD = "postroom", "the-password-of-the-pooler"
_PGBOUNCER = """\
[databases]
* = host={socket_folder} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = {mode}
{more}
"""
DOCUMENTED = "ignore_startup_parameters = options\n"
_OLD_PROGRAMS = "/usr/lib/postgresql/15/bin"


@contextmanager
def open_pgbouncer(folder: Path, database_url: str, *, mode: str, more: str = DOCUMENTED) -> Iterator[str]:
    """Run PgBouncer 1.18 before the server of this address, and yield the address of the same database behind it."""
    part = UnpackedPart("pgbouncer", folder)
    port = free_port()
    address = urlsplit(database_url)
    (socket_folder,) = parse_qs(address.query)["host"]
    part.write("users.txt", f'"{USER}" "{PASSWORD}"\n')
    text = _PGBOUNCER.format(socket_folder=socket_folder, port=port, folder=folder, mode=mode, more=more)
    path = part.write("pgbouncer.ini", text)
    # Only the server's own user may enter the folder of its socket.
    user_id = Path(socket_folder).stat().st_uid
    _admit(user_id, database_url)
    command = as_user(user_id, "/usr/sbin/pgbouncer", str(path))
    with part.running(*command, is_ready=lambda: is_listening(port), stop_signal=signal.SIGINT):
        yield f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}{address.path}"


def _admit(user_id: int, database_url: str) -> None:
    """Let this user of the system be any role of the server."""
    with psycopg.connect(database_url, autocommit=True) as db:
        ((folder,),) = db.execute("SHOW data_directory").fetchall()
        with (Path(folder) / "pg_ident.conf").open("a", encoding="utf-8") as names:
            names.write(f'postroom "{getpwuid(user_id).pw_name}" all\n')
        db.execute("SELECT pg_reload_conf()")


@contextmanager
def open_old_postgres(folder: Path) -> Iterator[str]:
    """Run PostgreSQL 15, and yield the address of its database."""
    part = UnpackedPart("postgresql", folder)
    port = free_port()
    data = part.make_folder("data", owner=PEER_ID, mode=0o700)
    part.run(*as_user(PEER_ID, f"{_OLD_PROGRAMS}/initdb", "--pgdata", str(data), "--auth=trust", "--username=postgres"))
    options = ("-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", "")
    command = as_user(PEER_ID, f"{_OLD_PROGRAMS}/postgres", *options)
    with part.running(*command, is_ready=lambda: is_listening(port), stop_signal=signal.SIGINT):
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


@dataclass(frozen=True, slots=True)
class Replicated:
    """A primary and its streaming replica."""

    primary: Process
    ports: tuple[int, int]

    @property
    def url(self) -> str:
        """The address of both, of which clients use the one that takes writes."""
        first, second = self.ports
        hosts = f"127.0.0.1:{first},127.0.0.1:{second}"
        return f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"

    def has_caught_up(self) -> bool:
        """Return whether the replica has all that the primary has."""
        with psycopg.connect(f"postgresql://postgres@127.0.0.1:{self.ports[0]}/postgres") as db:
            found = db.execute("SELECT replay_lsn = pg_current_wal_lsn() FROM pg_stat_replication").fetchone()
        return found is not None and bool(found[0])

    def promote(self) -> None:
        """Make the replica a primary, as an operator does by hand."""
        with psycopg.connect(f"postgresql://postgres@127.0.0.1:{self.ports[1]}/postgres") as db:
            db.execute("SELECT pg_promote()")


@contextmanager
def open_replicated_postgres(folder: Path) -> Iterator[Replicated]:
    """Run a primary and its replica, each on a port of its own."""
    ports = free_port(), free_port()
    with ExitStack() as stack:
        primary = stack.enter_context(_serving_on(ports[0], folder / "primary"))
        _copy(ports[0], folder / "primary", folder / "replica")
        stack.enter_context(_serving_on(ports[1], folder / "replica"))
        yield Replicated(primary, ports)


@contextmanager
def _serving_on(port: int, data: Path) -> Iterator[Process]:
    server = replace(prepare_postgres(data), url=f"postgresql://postgres@127.0.0.1:{port}/postgres")
    with (data / "pg_hba.conf").open("a", encoding="utf-8") as rules:
        rules.write("".join(f"host {database} all 127.0.0.1/32 trust\n" for database in ("all", "replication")))
    with serving(server, "-h", "127.0.0.1", "-p", str(port), "-k", "", stop_signal=signal.SIGQUIT) as process:
        yield process


def _copy(port: int, source: Path, target: Path) -> None:
    """Make a replica of the primary on this port, for the same user of the system."""
    owner = source.stat().st_uid
    target.mkdir(mode=0o700)
    os.chown(target, owner, owner)
    options = ["--write-recovery-conf", "--checkpoint=fast", "--pgdata", str(target)]
    command = [str(postgres_program("pg_basebackup")), *options, "-d", f"host=127.0.0.1 port={port} user=postgres"]
    subprocess.run(command, check=True, timeout=60, user=owner, cwd="/")
