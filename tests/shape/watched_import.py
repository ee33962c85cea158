"""Import each given module in a process of its own, and report the effects of the import.

    python tests/shape/watched_import.py NAME ...

`test_imports.py` runs it. It writes one JSON object to stdout, from module name to a list of effects. An effect of a
foreign library is listed only if it opened a socket or started a thread.
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
# Imported once before the forks, for speed; their effects are watched as well.
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

# Pydantic reads this one for every class of ours; it concerns pydantic alone.
NOT_OURS = {"PYDANTIC_DISABLE_PLUGINS"}

effects: list[str] = []


def record(event: str, what: object) -> None:
    """Record an effect that no import may have, or that only foreign ones may have."""
    if event in NEVER or (event in NEVER_BY_US and what not in NOT_OURS and is_ours()):
        effects.append(f"{event} {what}".strip())


def is_ours() -> bool:
    """Return whether our code caused this, without an import of something else in between."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith(OURS):
            return True
        if "importlib._bootstrap" in frame.f_code.co_filename:
            return False
        frame = frame.f_back
    return False


class WatchedEnvironment(type(ENVIRONMENT)):  # type: ignore[misc] # the class has no public name
    """The environment, with each read recorded."""

    def __getitem__(self, key: str) -> Any:
        """Read one variable."""
        record("environ", key)
        return super().__getitem__(key)

    def __iter__(self) -> Any:
        """Read all names."""
        record("environ", "all of it")
        return super().__iter__()


def watch_threads() -> None:
    """Record every thread that starts, by a wrapper, because Python 3.11 has no audit event for it."""
    start = threading.Thread.start

    def start_and_record(thread: threading.Thread) -> None:
        record("thread", thread.name)
        start(thread)

    threading.Thread.start = start_and_record  # type: ignore[assignment, method-assign]


def import_in_a_fork(module: str) -> list[str]:
    """Import a module in a child process that has imported none of ours. Returns its effects."""
    receiving, sending = os.pipe()
    if os.fork() == 0:
        try:
            importlib.import_module(module)
        except BaseException as error:  # noqa: BLE001 - it is reported
            effects.append(f"raised {type(error).__name__}: {error}")
        finally:
            os.write(sending, json.dumps(effects).encode())
            os._exit(0)
    os.close(sending)
    os.wait()
    with os.fdopen(receiving, "rb") as report:
        found: list[str] = json.loads(report.read() or b'["ended without a report"]')
        return found


def main() -> None:
    """Import all modules that the arguments name."""
    sys.path.insert(0, ROOT)
    sys.addaudithook(lambda event, args: record(event, args[0] if args else ""))
    watch_threads()
    ENVIRONMENT.__class__ = WatchedEnvironment
    for name in FOREIGN:
        importlib.import_module(name)
    json.dump({module: import_in_a_fork(module) for module in sys.argv[1:]}, sys.stdout)


if __name__ == "__main__":
    main()
