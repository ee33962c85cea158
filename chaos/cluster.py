"""The cluster of a trial: a whole Postroom of real processes, with fault proxies before both servers and the relay."""

import signal
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import redis

from chaos.fault_proxy import FaultProxy
from chaos.mail_relay import MailRelay
from delivery.crash_points import CrashPoint, acknowledgement_file
from delivery.settings import Settings
from tasks.lanes import LaneName
from tests.support.processes import ROOT, NamedProcesses, send_signal, wait_until_ready
from tests.support.seed import WITHOUT_LIMITS, environment_of
from tests.support.servers import is_up
from worker.embedded.servers import Server, named_database, prepare_postgres, prepare_valkey

DATABASE = "chaos"
HELD_PHRASE = "wire transfer"
_COMMAND_TICK_S = 0.02
# A claim's lease is 15 s longer than the deadline (delivery/settings.py).
_CHOSEN: Mapping[str, Any] = {
    **WITHOUT_LIMITS,
    "unknown_recipients_per_hour": 1_000_000_000,
    "pepper": "pepper of the trials, thirty-two characters",
    "sealing_key": "sealing key of the trials, thirty-two characters",
    "hold_phrases": HELD_PHRASE,
    "send_deadline_s": 4.0,
    "smtp_timeout_s": 2.0,
    "bell_grace_s": 1.0,
    "sweep_tick_s": 0.5,
    "step_pause_s": 2.0,
    "smtp_concurrency": 16,
}
API, POSTGRES, VALKEY = "api", "postgres", "valkey"
# Two workers send mail: each recovers what the other leaves unfinished.
DECIDE, SMTP, OTHER_SMTP = str(LaneName.DECIDE), str(LaneName.SMTP), f"{LaneName.SMTP}-2"
RELAY = "relay"
OURS = (API, DECIDE, SMTP, OTHER_SMTP)
# How the names of the crash points begin that processes of one kind pass.
_ACCEPTING = ("request_", "accept_", "answer_", "bell_taken", "bell_unflushed", "bell_published")
_DECIDING = ("bell_heard", "decide_", "vet_", "apply_", "sweep_", "direct_")
_SENDING = ("claim_", "connect_", "data_end_", "outcome_", "lease_expiry_")
# `postroom vetting` and `postroom migrate`. The trial itself starts such a command, with the point armed.
_COMMANDS = ("rule_", "undo_", "migration_")
_ARMED_IN: Mapping[tuple[str, ...], tuple[str, ...]] = {
    _ACCEPTING: (API,),
    _DECIDING: (DECIDE,),
    _SENDING: (SMTP, OTHER_SMTP),
    _COMMANDS: (),
}


def processes_of(point: CrashPoint) -> tuple[str, ...]:
    """Return the processes in which a trial arms this crash point; none for a point in a command.

    It fires once, in the first process that passes it. Raises `ValueError` for a point that belongs to no kind.
    """
    for prefixes, processes in _ARMED_IN.items():
        if point.startswith(prefixes):
            return processes
    raise ValueError(f"No process passes {point}: add its prefix in chaos/cluster.py.")


class Cluster:
    """Every process of one Postroom. A process that crashed stays down until it is started, or `revive` starts it."""

    def __init__(self, folder: Path, *, sweep_tick_s: float | None = None) -> None:
        self.folder = folder
        self.relay = MailRelay(seed=0)
        self._servers = {POSTGRES: prepare_postgres(folder / "postgres"), VALKEY: prepare_valkey(folder / "valkey")}
        self.proxies = {
            POSTGRES: FaultProxy(_socket_of_postgres(self._servers[POSTGRES])),
            VALKEY: FaultProxy(self._servers[VALKEY].url.removeprefix("unix://").partition("?")[0]),
            RELAY: FaultProxy(self.relay.port),
        }
        self.http = socket.create_server(("127.0.0.1", 0), backlog=512)
        self._chosen = {**_CHOSEN, **self._urls(), **({} if sweep_tick_s is None else {"sweep_tick_s": sweep_tick_s})}
        self._group = NamedProcesses(folder)
        self._lock = threading.RLock()
        self.sentinel = folder / "sentinel"
        for name in OURS:
            self._command(name, "")

    address = "127.0.0.1"
    """The address of the API."""

    @property
    def port(self) -> int:
        """The port of the API."""
        port: int = self.http.getsockname()[1]
        return port

    @property
    def direct_settings(self) -> Settings:
        """The same settings, but not through the fault proxies: for what observes or seeds the cluster."""
        database_url = named_database(self.maintenance_url, DATABASE)
        urls = {"database_url": database_url, "broker_url": self._servers[VALKEY].url}
        return Settings.model_validate({**_CHOSEN, **urls})

    @property
    def database_url(self) -> str:
        """The address of the database, not through its fault proxy."""
        return self.direct_settings.database_url.get_secret_value()

    @property
    def maintenance_url(self) -> str:
        """The address of the database from which another can be created, also without the proxy."""
        return self._servers[POSTGRES].url

    def environment(self, crash_at: str = "") -> dict[str, str]:
        """Return the settings of our processes as an environment, perhaps with a crash point armed."""
        return {"PYTHONPATH": str(ROOT), **environment_of({**self._chosen, "crash_at": crash_at})}

    def start(self, name: str) -> None:
        """Start this process, unless it runs."""
        with self._lock:
            if name in self._group.living:
                return
            if name in self._servers:
                self._group.serve(name, self._servers[name])
            else:
                self._start_ours(name)

    def _start_ours(self, name: str) -> None:
        sockets = (self.http.fileno(),) if name == API else ()
        lane = name.partition("-")[0]
        arguments = ("api_stub", "--fd", str(self.http.fileno())) if name == API else ("worker", "worker", lane)
        environment = self.environment(f"@{self._command_file(name)}")
        command = (sys.executable, "-m", *arguments)
        self._group.launch(name, *command, cwd=self.folder, environment=environment, sockets=sockets)

    def start_servers(self) -> None:
        """Start PostgreSQL and Valkey and wait until they answer."""
        for name, server in self._servers.items():
            self.start(name)
            wait_until_ready(self._group.processes[name], lambda server=server: is_up(server))  # type: ignore[misc] # bound now

    def broker(self) -> "redis.Redis":
        """Return a client of Valkey that does not go through the fault proxy."""
        return redis.Redis.from_url(self._servers[VALKEY].url, socket_timeout=2)

    def arm(self, crash_at: str, names: Sequence[str] = ()) -> None:
        """Arm these processes and disarm all others; start those that crashed. Return when all have acknowledged it."""
        for name in OURS:
            self._command(name, crash_at if name in names else "")
        while not all(self._has_acknowledged(name) for name in OURS):
            self.revive()
            threading.Event().wait(_COMMAND_TICK_S)

    def _command(self, name: str, crash_at: str) -> None:
        """Write what a process is armed with. The file is replaced, so that the process never reads half of it."""
        draft = self.folder / f"{name}.draft"
        draft.write_text(crash_at, encoding="utf-8")
        draft.replace(self._command_file(name))

    def _has_acknowledged(self, name: str) -> bool:
        command, acknowledgement = self._command_file(name), acknowledgement_file(self._command_file(name))
        return acknowledgement.exists() and acknowledgement.read_bytes() == command.read_bytes()

    def _command_file(self, name: str) -> Path:
        return self.folder / f"{name}.command"

    def pid(self, name: str) -> int:
        """Return the process id under which this process was last started."""
        return self._group.processes[name].pid

    def kill(self, *names: str) -> int:
        """Kill these processes and their children with SIGKILL, all at once; return how many of them ran."""
        with self._lock:
            return self._group.kill(*names)

    def freeze(self, name: str) -> bool:
        """Stop a process and its children with SIGSTOP; return whether it ran."""
        with self._lock:
            is_alive = name in self._group.living
            self._group.send_signal(name, signal.SIGSTOP)
            return is_alive

    def thaw(self) -> None:
        """Continue every frozen process."""
        with self._lock:
            send_signal(signal.SIGCONT, *self._group.processes.values())

    def revive(self) -> None:
        """Start again what has crashed, as a supervisor would."""
        for name in (POSTGRES, VALKEY, *OURS):
            self.start(name)

    def heal(self) -> None:
        """End every fault and start what crashed. Armed crash points stay armed."""
        for proxy in self.proxies.values():
            proxy.let_flow()
        self.relay.hostility = 0.0
        self.thaw()
        self.revive()

    def close(self) -> None:
        """Kill everything, at once."""
        self.thaw()
        self.kill(*self._group.processes)
        for proxy in self.proxies.values():
            proxy.close()
        self.relay.close()
        self.http.close()

    def _urls(self) -> dict[str, str]:
        return {
            "database_url": f"postgresql://postgres@127.0.0.1:{self.proxies[POSTGRES].port}/{DATABASE}",
            "broker_url": f"redis://127.0.0.1:{self.proxies[VALKEY].port}/0",
            "smtp_url": f"smtp://127.0.0.1:{self.proxies[RELAY].port}",
        }


def _socket_of_postgres(server: Server) -> str:
    return f"{server.url.partition('host=')[2]}/.s.PGSQL.5432"
