"""The hosts of a trial: the database with broker and relay, the API, and two workers, each on a host of its own."""

import signal
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chaos.cluster import DATABASE, HELD_PHRASE, POSTGRES, VALKEY
from chaos.mail_relay import MailRelay
from chaos.namespaces import BRIDGE_ADDRESS, Host, make_bridge
from delivery.records.database import open_database
from delivery.records.migrate import create_database, migrate
from delivery.settings import Settings
from tasks.lanes import LaneName
from tests.support.ports import is_page_served
from tests.support.processes import ROOT, NamedProcesses, wait_until_ready
from tests.support.seed import WITHOUT_LIMITS, environment_of
from tests.support.servers import is_up
from tests.support.smtp_server import ReceivedMail, Reply
from worker.embedded.servers import named_database, prepare_postgres, prepare_valkey

API_HOST, WORKER_HOST, OTHER_WORKER_HOST = "api", "worker-c", "worker-d"
WORKER_HOSTS = (WORKER_HOST, OTHER_WORKER_HOST)
_POSTGRES_PORT, _VALKEY_PORT, _API_PORT = 5432, 6379, 8080
_THOUGHT_S = 1.0
# All else has its default, leases and deadlines too.
_CHOSEN: Mapping[str, Any] = {
    **WITHOUT_LIMITS,
    "unknown_recipients_per_hour": 1_000_000_000,
    "pepper": "pepper of the trials, thirty-two characters",
    "hold_phrases": HELD_PHRASE,
}


class ThoughtfulRelay(MailRelay):
    """A relay that takes a mail and replies a second later, so that mails are in flight when a link is cut."""

    def keep(self, mail: ReceivedMail, reply: Reply) -> None:
        """Record a mail, and think."""
        super().keep(mail, reply)
        self.is_closing.wait(_THOUGHT_S)


class HostCluster:
    """Four hosts and their processes. The trial itself is on the database host, and its client too."""

    address = f"{BRIDGE_ADDRESS[:-1]}2"
    port = _API_PORT

    def __init__(self, folder: Path) -> None:
        make_bridge()
        self.folder = folder
        self.relay = ThoughtfulRelay(seed=0, address=BRIDGE_ADDRESS)
        self._postgres, self._valkey = prepare_postgres(folder / "postgres"), prepare_valkey(folder / "valkey")
        with (folder / "postgres" / "pg_hba.conf").open("a", encoding="utf-8") as rules:
            rules.write(f"host all all {BRIDGE_ADDRESS}/24 trust\n")
        self.hosts = {name: Host(name, number) for number, name in enumerate((API_HOST, *WORKER_HOSTS), start=2)}
        self._group = NamedProcesses(folder)

    @property
    def direct_settings(self) -> Settings:
        """The settings of what runs on the database host: it uses the unix sockets of both servers."""
        database_url = named_database(self._postgres.url, DATABASE)
        return Settings.model_validate({**_CHOSEN, "database_url": database_url, "broker_url": self._valkey.url})

    @property
    def database_url(self) -> str:
        """The address of the database on its own host."""
        return self.direct_settings.database_url.get_secret_value()

    def start_servers(self) -> None:
        """Start PostgreSQL and Valkey, and migrate."""
        self._group.serve(POSTGRES, self._postgres, "-h", BRIDGE_ADDRESS, "-p", str(_POSTGRES_PORT))
        public = ("--port", str(_VALKEY_PORT), "--bind", BRIDGE_ADDRESS, "--protected-mode", "no")
        self._group.serve(VALKEY, self._valkey, *public)
        for name, server in ((POSTGRES, self._postgres), (VALKEY, self._valkey)):
            wait_until_ready(self._group.processes[name], lambda server=server: is_up(server))  # type: ignore[misc] # bound now
        create_database(self._postgres.url, DATABASE)
        database = open_database(self.direct_settings, connections=1)
        migrate(database)
        database.dispose()

    def start(self) -> None:
        """Start the API and both lanes of each worker host, and wait until the API is ready."""
        api = ("api_stub", "--host", self.address, "--port", str(self.port))
        self._launch(API_HOST, API_HOST, *api)
        for host in WORKER_HOSTS:
            for lane in LaneName:
                self._launch(f"{host}-{lane}", host, "worker", "worker", lane)
        wait_until_ready(
            self._group.processes[API_HOST], lambda: is_page_served(self.port, "/readyz", address=self.address)
        )

    def _launch(self, name: str, host: str, *arguments: str) -> None:
        place = self.folder / host
        place.mkdir(exist_ok=True)
        urls = {
            "database_url": f"postgresql://postgres@{BRIDGE_ADDRESS}:{_POSTGRES_PORT}/{DATABASE}",
            "broker_url": f"redis://{BRIDGE_ADDRESS}:{_VALKEY_PORT}/0",
            "smtp_url": f"smtp://{BRIDGE_ADDRESS}:{self.relay.port}",
            "journal_folder": place / "journals",
        }
        environment = {"PYTHONPATH": str(ROOT), "TMPDIR": str(place), **environment_of({**_CHOSEN, **urls})}
        command = self.hosts[host].command(sys.executable, "-m", *arguments)
        self._group.launch(name, *command, cwd=place, environment=environment)

    def lose(self, host: str) -> None:
        """Cut the link of a host and kill everything on it, so that nothing of it says goodbye."""
        self.hosts[host].cut()
        names = [name for name in self._group.processes if name.startswith(host)]
        self._group.kill(*names)
        for name in names:
            del self._group.processes[name]

    def crashed(self) -> list[str]:
        """Return the processes that should run and do not."""
        return sorted(set(self._group.processes) - set(self._group.living))

    def close(self) -> None:
        """End everything."""
        for name in [*self._group.processes]:
            self._group.send_signal(name, signal.SIGKILL)
        threading.Event().wait(0.1)
        for process in self._group.processes.values():
            process.wait()
        for host in self.hosts.values():
            host.close()
        self.relay.close()
