"""Small disks that a test mounts and fills."""

import errno
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

_PIECE = bytes(64 * 1024)


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk with a few megabytes of room."""

    path: Path

    def fill(self) -> None:
        """Fill the disk."""
        with (self.path / "filler").open("ab", buffering=0) as filler:
            try:
                while True:
                    filler.write(_PIECE)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise

    def clear(self) -> None:
        """Make room again."""
        (self.path / "filler").unlink()


@contextmanager
def small_disk(path: Path, size_mb: int) -> Iterator[Disk]:
    """Mount a disk for a while; without the right to mount the test is skipped, in CI too: few build machines may."""
    path.mkdir()
    options = f"size={size_mb}m,mode=0777"
    command = ["mount", "-t", "tmpfs", "-o", options, "postroom-test", str(path)]
    if not _is_done(command):
        pytest.skip("This test fills a disk of its own; only root on Linux may mount one (with CAP_SYS_ADMIN).")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def _is_done(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:  # There is no such command here.
        return False
