"""Imports each module that it is told in a process of its own, and reports what the import did beside.

    python tests/shape/watched_import.py NAME ...

Run by `test_imports.py`. It answers one JSON object on stdout: module name to a list of deeds; a deed that the import
of a foreign library did by itself stands there only if it opened a socket or started a thread.
"""

import importlib
import json
import os
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = str(Path(__file__).resolve().parents[2])
OURS = tuple(f"{ROOT}/{package}/" for package in ("api_stub", "delivery", "tasks", "worker"))
# Loaded once, before the forks, for speed alone: what these do is watched all the same.
FOREIGN = (
    "alembic.command",
    "celery",
    "fastapi_offline",
    "kombu",
    "psycopg",
    "pydantic_settings",
    "sqlalchemy.ext.asyncio",
)
ENVIRONMENT = os.environ  # noqa: TID251 - it is watched here, not read
NEVER = {"socket.__new__", "socket.bind", "socket.connect", "socket.getaddrinfo", "thread"}
NEVER_BY_US = {"open", "subprocess.Popen", "os.system", "os.mkdir", "os.remove", "environ"}

# Pydantic looks at this one whenever a class of ours is made; it is about pydantic alone.
NOT_OURS = {"PYDANTIC_DISABLE_PLUGINS"}

deeds: list[str] = []


def note(event: str, what: object) -> None:
    """Keep a deed, if it is one that no import may do, or that ours may not."""
    if event in NEVER or (event in NEVER_BY_US and what not in NOT_OURS and is_ours()):
        deeds.append(f"{event} {what}".strip())


def is_ours() -> bool:
    """Say whether a line of ours led here, with no import of something else between."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith(OURS):
            return True
        if "importlib._bootstrap" in frame.f_code.co_filename:
            return False
        frame = frame.f_back
    return False


class WatchedEnvironment(type(ENVIRONMENT)):  # type: ignore[misc] # the class has no public name
    """The environment, telling who reads it."""

    def __getitem__(self, key: str) -> Any:
        """Read one variable."""
        note("environ", key)
        return super().__getitem__(key)

    def __iter__(self) -> Any:
        """Read all names."""
        note("environ", "all of it")
        return super().__iter__()


def watch_threads() -> None:
    """Tell of every thread that starts, a short one too: Python 3.11 has no audit event for it, so it is wrapped."""
    start = threading.Thread.start

    def start_and_tell(thread: threading.Thread) -> None:
        note("thread", thread.name)
        start(thread)

    threading.Thread.start = start_and_tell  # type: ignore[assignment, method-assign]


def import_in_a_fork(module: str) -> list[str]:
    """Import this module in a child that has seen none of ours; answer what it did."""
    receiving, sending = os.pipe()
    if os.fork() == 0:
        try:
            importlib.import_module(module)
        except BaseException as error:  # noqa: BLE001 - it is reported
            deeds.append(f"raised {type(error).__name__}: {error}")
        finally:
            os.write(sending, json.dumps(deeds).encode())
            os._exit(0)
    os.close(sending)
    os.wait()
    with os.fdopen(receiving, "rb") as answer:
        answered: list[str] = json.loads(answer.read() or b'["ended without a word"]')
        return answered


def main() -> None:
    """Import everything that was named."""
    sys.path.insert(0, ROOT)
    sys.addaudithook(lambda event, args: note(event, args[0] if args else ""))
    watch_threads()
    ENVIRONMENT.__class__ = WatchedEnvironment
    for name in FOREIGN:
        importlib.import_module(name)
    json.dump({module: import_in_a_fork(module) for module in sys.argv[1:]}, sys.stdout)


if __name__ == "__main__":
    main()
