"""A `postroom up` in a folder of its own, and what a user does with it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psutil

from tests.waiting import wait_until
from worker.embedded.leftovers import leftovers

ROOT = Path(__file__).resolve().parents[2]
_START_TIMEOUT_S = 60
_STOP_TIMEOUT_S = 20


@contextmanager
def short_folder() -> Iterator[Path]:
    """Make a folder for a while. pytest's own have paths too long for a socket, and too private for PostgreSQL."""
    path = Path(tempfile.mkdtemp(prefix="postroom-up-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def free_port() -> int:
    """Find a port that nobody uses right now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def postroom(
    *arguments: str, cwd: Path, timeout_s: float = 30, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command of ours to its end, with `more` in its environment."""
    command = [sys.executable, "-m", "worker", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120", **(more or {})}  # noqa: TID251 - what a child inherits
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False
    )


def _heed_ctrl_c() -> None:
    """Let children hear SIGINT. A shell without job control has what it starts in the background ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class Platform:
    """A `postroom up` with its data in `data`."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.port = free_port()
        self.told_path = data.parent / "told.txt"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it prints its curl."""
        _heed_ctrl_c()
        with self.told_path.open("wb") as told:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "worker", "up", "--port", str(self.port), "--data", str(self.data)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=told,
                start_new_session=True,
            )
        wait_until(lambda: "curl" in self.told or not self.is_running, within_s=_START_TIMEOUT_S)
        assert self.is_running, self.told

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop, wait for the end, and give its exit code."""
        if self._process is None:
            return 0
        self._process.send_signal(how)
        code = self._process.wait(_STOP_TIMEOUT_S)
        self._process = None
        return code

    @property
    def is_running(self) -> bool:
        """Say whether the supervisor lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def told(self) -> str:
        """All that it printed."""
        return self.told_path.read_text(encoding="utf-8")

    @property
    def facts(self) -> dict[str, Any]:
        """What `demo.json` says."""
        facts: dict[str, Any] = json.loads((self.data / "demo.json").read_text(encoding="utf-8"))
        return facts

    def account(self, email_begins: str) -> str:
        """Give the id of the demo account with this beginning of an address."""
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
