"""The site of a trial: a whole Postroom of real processes, every link through a valve, to be broken and mended."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import redis

from chaos.fault_proxy import FaultProxy
from chaos.mail_relay import MailRelay
from delivery.crash_points import CrashPoint, acknowledgement_file
from delivery.records.database import answers
from delivery.settings import Settings, environment_name
from tasks.lanes import LaneName
from worker.embedded.servers import Server, named_database, prepare_postgres, prepare_valkey

ROOT = Path(__file__).resolve().parent.parent
DATABASE = "chaos"
HELD_PHRASE = "wire transfer"
_PLENTY = 1_000_000_000
_START_TICKS, _TICK_S = 600, 0.1
_ORDER_TICK_S = 0.02
# A claim's lease is 15 s longer than the deadline (delivery/settings.py).
_CHOSEN: Mapping[str, Any] = {
    "pepper": "pepper of the trials, thirty-two characters",
    "hold_phrases": HELD_PHRASE,
    "send_deadline_s": 4.0,
    "smtp_timeout_s": 2.0,
    "bell_grace_s": 1.0,
    "sweep_tick_s": 0.5,
    "step_pause_s": 2.0,
    "requests_per_minute": _PLENTY,
    "recipients_per_minute": _PLENTY,
    "unknown_recipients_per_hour": _PLENTY,
    "smtp_concurrency": 16,
}
API, POSTGRES, VALKEY = "api", "postgres", "valkey"
DECIDE, SMTP = (str(lane) for lane in LaneName)
# Two send mail: what one began and never ended, the other ends.
OTHER_SMTP = "smtp-2"
OURS = (API, DECIDE, SMTP, OTHER_SMTP)
_DECIDING = ("bell_heard", "decide_", "vet_", "sweep_", "direct_")
_SENDING = ("claim_", "connect_", "dot_", "outcome_", "lapse_")


def processes_of(point: CrashPoint) -> tuple[str, ...]:
    """Name the processes of a trial in which this crash point is armed; whichever passes it first, it springs once."""
    if point.startswith(_DECIDING):
        return (DECIDE,)
    return (SMTP, OTHER_SMTP) if point.startswith(_SENDING) else (API,)


@dataclass(frozen=True, slots=True)
class _Program:
    arguments: Sequence[str]
    environment: Mapping[str, str]
    user: str | None = None
    sockets: tuple[int, ...] = ()


class Cluster:
    """Every process of one Postroom. Whatever dies stays dead until it is started or `revive` finds it."""

    def __init__(self, folder: Path, *, sweep_tick_s: float | None = None) -> None:
        self.folder = folder
        self.relay = MailRelay(seed=0)
        self._postgres = prepare_postgres(folder / "postgres")
        self._valkey = prepare_valkey(folder / "valkey")
        self.proxies = {
            POSTGRES: FaultProxy(_socket_of_postgres(self._postgres)),
            VALKEY: FaultProxy(self._valkey.url.removeprefix("unix://").partition("?")[0]),
            SMTP: FaultProxy(self.relay.port),
        }
        self.http = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.settings = self._settings({} if sweep_tick_s is None else {"sweep_tick_s": sweep_tick_s})
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._stopped: set[str] = set()
        self._lock = threading.RLock()
        self.mark = folder / "mark"
        for name in OURS:
            self._order(name, "")

    @property
    def port(self) -> int:
        """The port of the API."""
        port: int = self.http.getsockname()[1]
        return port

    @property
    def inside(self) -> Settings:
        """The same settings past the valves, for whoever looks from outside."""
        urls = {"database_url": named_database(self._postgres.url, DATABASE), "broker_url": self._valkey.url}
        return Settings.model_validate({**_CHOSEN, **urls})

    @property
    def maintenance_url(self) -> str:
        """The database from which another can be made."""
        return self._postgres.url

    def environment(self, crash_at: str = "") -> dict[str, str]:
        """Give the environment of a process of ours, perhaps with a crash point armed."""
        chosen = {**_CHOSEN, **self._urls(), "sweep_tick_s": self.settings.sweep_tick_s, "crash_at": crash_at}
        ours = {environment_name(field): str(value) for field, value in chosen.items()}
        return {**os.environ, "PYTHONPATH": str(ROOT), **ours}  # noqa: TID251 - what children inherit is no setting

    def start(self, name: str) -> None:
        """Start this process, unless it runs."""
        with self._lock:
            running = self._processes.get(name)
            if running is None or running.poll() is not None:
                self._processes[name] = self._launch(name, self._program(name))

    def start_servers(self) -> None:
        """Start PostgreSQL and Valkey and wait until they answer."""
        self.start(POSTGRES)
        self.start(VALKEY)
        for _ in range(_START_TICKS):
            if answers(self._postgres.url) and self.broker_answers():
                return
            threading.Event().wait(_TICK_S)
        raise RuntimeError("The servers of the trial do not answer.")

    def broker_answers(self) -> bool:
        """Say whether Valkey answers, past its valve."""
        try:
            with self.broker() as broker:
                return bool(broker.ping())
        except redis.RedisError:
            return False

    def broker(self) -> "redis.Redis":
        """Reach Valkey past its valve."""
        return redis.Redis.from_url(self._valkey.url, socket_timeout=2)

    def arm(self, crash_at: str, names: Sequence[str] = ()) -> None:
        """Arm these processes and disarm all others; come back when every one of them knows."""
        for name in OURS:
            self._order(name, crash_at if name in names else "")
        while not all(self._has_obeyed(name) for name in OURS):
            self.revive()
            threading.Event().wait(_ORDER_TICK_S)

    def _order(self, name: str, crash_at: str) -> None:
        """Write what a process of ours is armed with, so that nobody reads half of it."""
        draft = self.folder / f"{name}.draft"
        draft.write_text(crash_at, encoding="utf-8")
        draft.replace(self._orders(name))

    def _has_obeyed(self, name: str) -> bool:
        orders, obeyed = self._orders(name), acknowledgement_file(self._orders(name))
        return obeyed.exists() and obeyed.read_bytes() == orders.read_bytes()

    def _orders(self, name: str) -> Path:
        return self.folder / f"{name}.orders"

    def pid(self, name: str) -> int:
        """Give the process id under which this process was last started."""
        return self._processes[name].pid

    def kill(self, *names: str) -> int:
        """`kill -9` these processes and their children, all at once; say how many of them lived."""
        with self._lock:
            running = [self._processes[name] for name in names if self._processes[name].poll() is None]
            families = [(process, _children(process)) for process in running]
            for process, children in families:
                process.kill()
                for child in children:
                    with suppress(psutil.NoSuchProcess):
                        child.kill()
            for process in running:
                process.wait()
            return len(running)

    def freeze(self, name: str) -> bool:
        """Stop a process and its children in their tracks; say whether it lived."""
        with self._lock:
            process = self._processes[name]
            is_alive = process.poll() is None
            _signal(process, signal.SIGSTOP)
            return is_alive

    def thaw(self) -> None:
        """Let every frozen process go on."""
        with self._lock:
            for process in self._processes.values():
                _signal(process, signal.SIGCONT)

    def revive(self) -> None:
        """Start again whatever has died, as a supervisor would."""
        for name in (POSTGRES, VALKEY, *OURS):
            self.start(name)

    def heal(self) -> None:
        """End every trouble."""
        for proxy in self.proxies.values():
            proxy.let_flow()
        self.relay.hostility = 0.0
        self.thaw()
        self.revive()

    def close(self) -> None:
        """Stop everything, at once."""
        self.thaw()
        self.kill(*self._processes)
        for proxy in self.proxies.values():
            proxy.close()
        self.relay.close()
        self.http.close()

    def _settings(self, more: Mapping[str, Any]) -> Settings:
        return Settings.model_validate({**_CHOSEN, **self._urls(), **more})

    def _urls(self) -> dict[str, str]:
        return {
            "database_url": f"postgresql://postgres@127.0.0.1:{self.proxies[POSTGRES].port}/{DATABASE}",
            "broker_url": f"redis://127.0.0.1:{self.proxies[VALKEY].port}/0",
            "smtp_url": f"smtp://127.0.0.1:{self.proxies[SMTP].port}",
        }

    def _program(self, name: str) -> _Program:
        if name in {POSTGRES, VALKEY}:
            server = self._postgres if name == POSTGRES else self._valkey
            return _Program(server.arguments, {}, server.user)
        environment = self.environment(f"@{self._orders(name)}")
        if name == API:
            descriptor = self.http.fileno()
            command = (sys.executable, "-m", "api_stub", "--fd", str(descriptor))
            return _Program(command, environment, sockets=(descriptor,))
        return _Program((sys.executable, "-m", "worker", "worker", name.partition("-")[0]), environment)

    def _launch(self, name: str, program: _Program) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("ab") as log:
            return subprocess.Popen(
                program.arguments,
                user=program.user,
                cwd="/" if name in {POSTGRES, VALKEY} else self.folder,
                env=dict(program.environment) or None,
                pass_fds=program.sockets,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )


def _signal(process: "subprocess.Popen[bytes]", what: signal.Signals) -> None:
    process.send_signal(what)
    for child in _children(process):
        with suppress(psutil.NoSuchProcess):
            child.send_signal(what)


def _children(process: "subprocess.Popen[bytes]") -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def _socket_of_postgres(server: Server) -> str:
    return f"{server.url.partition('host=')[2]}/.s.PGSQL.5432"
