"""Define the programs of the embedded stack, with their addresses and settings."""

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import redis
from pydantic import SecretStr

from delivery.records.database import DATABASE_UNAVAILABLE, answers, open_database, transaction
from delivery.records.rights import DatabaseRole
from delivery.records.workers import registry
from delivery.settings import Settings, environment_name, settings_from
from tasks.broker.access import BrokerUser, access_list
from tasks.lanes import LaneName
from worker.embedded.child import Program
from worker.embedded.servers import Server, broker_as, named_database, prepare_postgres, prepare_valkey

DATABASE = "postroom"
# Who may open the broker's socket and does not log in: commands, and programs that try direct sends.
_ANYBODY_HERE = "on nopass ~* &* +@all -@admin -@dangerous +info"
_PROBE_TIMEOUT_S = 1.0
_SEEN_WITHIN = timedelta(seconds=10)
# One mail is tried for 45 s at most, and its lease is 15 s longer, so that tests of failures end within minutes.
_DEMO_SETTINGS: Mapping[str, Any] = {
    "send_deadline_s": 45.0,
    "smtp_timeout_s": 20.0,
    "platform_names": "Postroom",
    "hold_phrases": "western union|wire transfer|advance fee",
    # A suite of a few thousand requests can run against the demo. The defaults are for production.
    "requests_per_minute": 10_000,
    "recipients_per_minute": 250_000,
    "refused_credentials_per_minute": 1_000,
    "unknown_recipients_per_hour": 100_000,
    "mails_per_address_per_hour": 0,
    "messages_per_account_per_hour": 0,
}


@dataclass(frozen=True, slots=True)
class Sockets:
    """The bound sockets of this run. They stay open while the children that serve them restart."""

    http: socket.socket
    sink_http: socket.socket
    smtp: socket.socket


class EmbeddedStack:
    """Every program of one embedded system."""

    def __init__(self, data: Path, sockets: Sockets, secret: Callable[[str], str]) -> None:
        self._data = data
        self._sockets = sockets
        self._postgres = prepare_postgres(data / "postgres")
        self._passwords = {user: secret(f"broker-{user}") for user in (BrokerUser.API, BrokerUser.WORKER)}
        self._valkey = prepare_valkey(data / "valkey", access_list(self._passwords, default=_ANYBODY_HERE))
        own: dict[str, Any] = {
            "database_url": self._database_url(DatabaseRole.OPERATOR),
            "broker_url": self._valkey.url,
            "smtp_url": f"smtp://127.0.0.1:{_port(sockets.smtp)}",
            "pepper": secret("pepper"),
            "sealing_key": secret("sealing-key"),
            "public_url": self._base_url,
            "journal_folder": str(data / "journals"),
        }
        self._environment = {**_variables(_DEMO_SETTINGS), **_own_settings(), **_variables(own)}
        self.settings = settings_from(self._environment)

    @property
    def maintenance_url(self) -> str:
        """The address of the database that always exists, from which another can be created."""
        return self._postgres.url

    @property
    def owner_settings(self) -> Settings:
        """The settings of the owner of the tables, who migrates them."""
        return self.settings.model_copy(update={"database_url": SecretStr(self._database_url(DatabaseRole.OWNER))})

    @property
    def superuser_settings(self) -> Settings:
        """The settings of who may create roles."""
        url = SecretStr(named_database(self._postgres.url, DATABASE))
        return self.settings.model_copy(update={"database_url": url})

    def servers(self) -> list[Program]:
        """Return the programs that the others need: PostgreSQL, Valkey and the mail sink."""
        sink = ("--smtp-fd", str(self._sockets.smtp.fileno()), "--http-fd", str(self._sockets.sink_http.fileno()))
        return [
            self._server("postgres", self._postgres, _answers_postgres(self._postgres.url), signal.SIGINT),
            self._server("valkey", self._valkey, _answers_valkey(self._valkey.url), signal.SIGTERM),
            self._python(
                "mail-sink",
                *("-m", "worker", "sink", *sink, "--data", str(self._data / "mails")),
                sockets=(self._sockets.smtp.fileno(), self._sockets.sink_http.fileno()),
                is_healthy=_answers_http(f"{self._sink_url}/healthz"),
            ),
        ]

    def workers(self) -> list[Program]:
        """Return the API and a worker process for each lane."""
        http = self._sockets.http.fileno()
        return [
            self._python(
                "api",
                *("-m", "api_stub", "--fd", str(http)),
                sockets=(http,),
                is_healthy=_answers_http(f"{self._base_url}/readyz"),
                more=self._logins(DatabaseRole.API, BrokerUser.API),
            ),
            *(
                self._python(
                    f"worker-{lane}",
                    *("-m", "worker", "worker", lane),
                    is_healthy=_has_reported(self.settings),
                    more=self._logins(DatabaseRole.WORKER, BrokerUser.WORKER),
                )
                for lane in LaneName
            ),
        ]

    def addresses(self) -> dict[str, str]:
        """Return the addresses for `demo.json`."""
        return {
            "base_url": self._base_url,
            "docs_url": f"{self._base_url}/docs",
            "desk_url": f"{self._base_url}/desk",
            "mail_sink_url": self._sink_url,
            "database_url": self.settings.database_url.get_secret_value(),
            "broker_url": self.settings.broker_url.get_secret_value(),
        }

    def environment_file(self) -> str:
        """Return the settings as text for the environment file that commands beside `var/` read."""
        lines = [f"{name}={json.dumps(value)}" for name, value in self._environment.items()]
        return "# Written by `postroom up` at each start. It holds a secret.\n" + "\n".join(lines) + "\n"

    def _database_url(self, role: DatabaseRole) -> str:
        return named_database(self._postgres.url, DATABASE, role=role)

    def _logins(self, role: DatabaseRole, user: BrokerUser) -> dict[str, str]:
        """Return the variables with which a program is this role in the database and this user at the broker."""
        broker_url = broker_as(self._valkey.url, user, self._passwords[user])
        return _variables({"database_url": self._database_url(role), "broker_url": broker_url})

    @property
    def _base_url(self) -> str:
        return f"http://127.0.0.1:{_port(self._sockets.http)}"

    @property
    def _sink_url(self) -> str:
        return f"http://127.0.0.1:{_port(self._sockets.sink_http)}"

    def _server(
        self, name: str, server: Server, is_healthy: Callable[[int], bool], stop_signal: signal.Signals
    ) -> Program:
        return Program(
            name=name,
            arguments=server.arguments,
            folder=self._data / name,
            user=server.user,
            stop_signal=stop_signal,
            is_healthy=is_healthy,
            is_server=True,
        )

    def _python(
        self,
        name: str,
        *arguments: str,
        is_healthy: Callable[[int], bool],
        sockets: tuple[int, ...] = (),
        more: Mapping[str, str] | None = None,
    ) -> Program:
        return Program(
            name=name,
            arguments=(sys.executable, *arguments),
            folder=self._data,
            environment={**_inherited(), **self._environment, "PYTHONUNBUFFERED": "1", **(more or {})},
            sockets=sockets,
            is_healthy=is_healthy,
        )


def _variables(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return settings as environment variables."""
    return {environment_name(field): str(value) for field, value in settings.items()}


def _own_settings() -> dict[str, str]:
    """Return the settings in the operator's own environment, which override those of the demo."""
    return {name: value for name, value in os.environ.items() if name.startswith("POSTROOM_")}  # noqa: TID251 - passed on, not read


def _inherited() -> dict[str, str]:
    # An operator's own DATABASE_URL, BROKER_URL or SMTP_URL are for their production, not for the demo.
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}  # noqa: TID251 - what children inherit is no setting


def _port(bound: socket.socket) -> int:
    port: int = bound.getsockname()[1]
    return port


def _answers_postgres(url: str) -> Callable[[int], bool]:
    return lambda _: answers(url)


def _has_reported(settings: Settings) -> Callable[[int], bool]:
    """Return a probe of whether the worker with this process id has reported to the database that it is alive."""

    def probe(pid: int) -> bool:
        database = open_database(settings, connections=1)
        try:
            with transaction(database) as db:
                return any(worker.pid == pid for worker in registry.workers(db, within=_SEEN_WITHIN))
        except DATABASE_UNAVAILABLE:
            return False
        finally:
            database.dispose()

    return probe


def _answers_valkey(url: str) -> Callable[[int], bool]:
    def probe(_: int) -> bool:
        with redis.Redis.from_url(url, socket_timeout=_PROBE_TIMEOUT_S) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    return probe


def _answers_http(url: str) -> Callable[[int], bool]:
    def probe(_: int) -> bool:
        try:
            with urlopen(url, timeout=_PROBE_TIMEOUT_S) as response:  # noqa: S310 - our own address on loopback
                return bool(response.status == 200)
        except (URLError, OSError):
            return False

    return probe
