"""A `postroom up` in a folder of its own, and what a user does with it."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2
import psutil

from tests.support.ports import free_port
from tests.support.processes import ROOT, START_S, STOP_S, Process, launch, run_to_end
from tests.support.waiting import wait_until
from worker.embedded.leftovers import leftovers


@contextmanager
def short_folder() -> Iterator[Path]:
    """Make a folder for a while. pytest's own have paths too long for a socket, and PostgreSQL's user may not enter."""
    with TemporaryDirectory(prefix="postroom-up-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def postroom(
    *arguments: str, cwd: Path, timeout_s: float = 30, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a `postroom` command to its end, with `more` in its environment."""
    environment = {"PYTHONPATH": str(ROOT), "COLUMNS": "120", **(more or {})}
    command = [sys.executable, "-m", "worker", *arguments]
    return run_to_end(command, cwd=cwd, environment=environment, timeout_s=timeout_s)


def _stop_ignoring_ctrl_c() -> None:
    """Let children receive SIGINT. A shell without job control makes its background processes ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Platform:
    """A `postroom up` with its data in `data`. The desk is empty unless it `has_rehearsal`."""

    def __init__(self, data: Path, *, has_rehearsal: bool = False) -> None:
        self.data = data
        self._rehearsal = "--rehearsal" if has_rehearsal else "--no-rehearsal"
        self.port = free_port()
        self._log_path = data.parent / "platform.log"
        self._process: Process | None = None

    def start(self) -> None:
        """Start it and wait until it prints its curl."""
        _stop_ignoring_ctrl_c()
        self._log_path.unlink(missing_ok=True)
        command = ("-m", "worker", "up", "--port", str(self.port), "--data", str(self.data), self._rehearsal)
        self._process = launch((sys.executable, *command), log=self._log_path)
        wait_until(lambda: "curl" in self.told or not self.is_running, within_s=START_S)
        assert self.is_running, self.told

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Signal the supervisor alone, wait for its end, and return its exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(how)
        code = self._process.wait(STOP_S)
        self._process = None
        return code

    @property
    def is_running(self) -> bool:
        """Whether the supervisor runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def told(self) -> str:
        """All that it printed."""
        return self._log_path.read_text(encoding="utf-8")

    @property
    def facts(self) -> dict[str, Any]:
        """The content of `demo.json`."""
        facts: dict[str, Any] = json.loads((self.data / "demo.json").read_text(encoding="utf-8"))
        return facts

    def account(self, email_begins: str) -> str:
        """Return the id of the demo account whose address begins so."""
        uuid: str = next(each["uuid"] for each in self.facts["accounts"] if each["email"].startswith(email_begins))
        return uuid

    def processes(self) -> list[psutil.Process]:
        """List the children that run right now."""
        return list(leftovers(self.data.resolve()))

    def child(self, words: str) -> psutil.Process:
        """Find the child with these words in its command line. Raises `LookupError` while there is none."""
        found = [each for each in self.processes() if words in " ".join(each.cmdline())]
        if not found:
            raise LookupError(f"no child runs {words}")
        return found[0]

    def post(self, *recipients: str, **fields: object) -> httpx2.Response:
        """Send a message to these accounts (beginnings of their addresses)."""
        message = {
            "recipient_uuids": [self.account(each) for each in recipients],
            "sender_name": "Ada",
            "subject": "Hello",
            "body": "A word.\n",
            **fields,
        }
        return httpx2.post(f"{self.facts['base_url']}/messages", json=message, headers=self.headers, timeout=15)

    def get(self, path: str) -> httpx2.Response:
        """Read something from the API."""
        return httpx2.get(f"{self.facts['base_url']}{path}", headers=self.headers, timeout=15)

    def mails(self) -> list[dict[str, Any]]:
        """List what the mail sink accepted."""
        mails: list[dict[str, Any]] = httpx2.get(f"{self.facts['mail_sink_url']}/mails").json()["mails"]
        return mails

    @property
    def headers(self) -> dict[str, str]:
        """The credentials of the demo client."""
        return {"X-Proz-API-Key": self.facts["api_key"]}

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ours beside this `var/`."""
        return postroom(*arguments, cwd=self.data.parent)
