"""Run a program of an unpacked package as if it were installed: in a view of the file system that only it has.

The view lies over /usr, /etc, /var and /run of the machine, in a mount namespace, and is gone when the program ends.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import Process, run_to_end, running
from tools.peer_packages import FOLDER, PACKAGES

_ENTER = """
set -e
mount -t overlay overlay -o "lowerdir=$1/usr:/usr" /usr
mount -t overlay overlay -o "lowerdir=$2/etc:$1/etc:/etc" /etc
mount -t overlay overlay -o "lowerdir=$1/var:/var,upperdir=$2/var,workdir=$2/work" /var
mount -t tmpfs tmpfs /run
shift 2
exec "$@"
"""
_USERS = ("postfix", "Debian-exim", "opensmtpd", "opensmtpq", "peer")
_GROUPS = (*_USERS, "postdrop")
_FIRST_ID = 64_001
PEER_ID = _FIRST_ID + _USERS.index("peer")
"""User and group of programs that refuse to run as root."""


def as_user(number: int, *command: str) -> tuple[str, ...]:
    """Return a command that runs this one as the user and the group of this number."""
    return ("setpriv", "--reuid", str(number), "--regid", str(number), "--clear-groups", *command)


class UnpackedPart:
    """An unpacked part with a folder of its own: its `etc` covers /etc, its `var` receives what /var gets."""

    def __init__(self, name: str, folder: Path) -> None:
        _require(name)
        self._unpacked = FOLDER / name
        self.folder = folder
        for each in ("etc", "var", "work"):
            (folder / each).mkdir(parents=True)
        for each in ("usr", "etc", "var"):
            (self._unpacked / each).mkdir(exist_ok=True)
        for path in (folder, *folder.parents):  # Programs that give up root still reach their files.
            path.chmod(path.stat().st_mode | 0o055)
        self._write_accounts()

    def write(self, name: str, text: str) -> Path:
        """Write a file below its folder and return its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def make_folder(self, name: str, *, owner: int = 0, mode: int = 0o755) -> Path:
        """Make a folder below its folder and return its path."""
        path = self.folder / name
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, owner, owner)
        path.chmod(mode)
        return path

    def run(self, *command: str, text: str | None = None) -> str:
        """Run a program of the part to its end and return what it prints. Raises `AssertionError` when it fails."""
        done = run_to_end(self._inside(command), text=text, timeout_s=60)
        assert 0 == done.returncode, done.stdout + done.stderr
        return done.stdout

    @contextmanager
    def running(self, *command: str, is_ready: Callable[[], object], **options: Any) -> Iterator[Process]:
        """Run a server of the part until the block ends; its output is in `log`."""
        with running(self._inside(command), is_ready, log=self.log, **options) as process:
            yield process

    @property
    def log(self) -> Path:
        """What its servers print."""
        return self.folder / "log"

    def _inside(self, command: Sequence[str]) -> tuple[str, ...]:
        enter = ("unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "sh")
        return (*enter, str(self._unpacked), str(self.folder), *command)

    def _write_accounts(self) -> None:
        """Add the users and groups that the packages would make."""
        users = "".join(f"{name}:x:{_FIRST_ID + at}:{_FIRST_ID + at}::/:/bin/false\n" for at, name in enumerate(_USERS))
        groups = "".join(f"{name}:x:{_FIRST_ID + at}:\n" for at, name in enumerate(_GROUPS))
        self.write("etc/passwd", Path("/etc/passwd").read_text(encoding="utf-8") + users)
        self.write("etc/group", Path("/etc/group").read_text(encoding="utf-8") + groups)


def user_id(name: str) -> int:
    """Return the id of one of the users that the packages would make."""
    return _FIRST_ID + _GROUPS.index(name)


def _require(name: str) -> None:
    """Skip the test where the part cannot run; in CI, which runs as root and unpacks the parts, fail it."""
    if os.geteuid() != 0:
        pytest.skip(f"{name} is mounted into a view of the file system, which only root may make.")
    if not (FOLDER / name).is_dir():
        sentence = f"{name} is missing ({', '.join(PACKAGES[name])}). Run: make peers-packages"
        if os.environ.get("CI"):  # noqa: TID251 - a question about the machine, no setting of Postroom
            pytest.fail(sentence)
        pytest.skip(sentence)
