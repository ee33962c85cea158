"""Resolve the hashed locks from pyproject.toml, or check that they still match it.

    python tools/locks.py           # resolve again, to the newest versions that pyproject.toml allows
    python tools/locks.py --check   # fail when a lock no longer matches pyproject.toml

The locks name no registry. The formats uv.lock and pylock.toml do, so they are not used.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RUNTIME = ROOT / "requirements.lock"
DEVELOPMENT = ROOT / "requirements-dev.lock"
# Each lock with its options. The development lock keeps the versions of the runtime lock.
LOCKS = {
    RUNTIME: ["--extra", "embedded", "--extra", "build"],
    DEVELOPMENT: ["--all-extras", "--constraint", str(RUNTIME)],
}
COMPILE = ["pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-header", "--no-annotate"]


def main() -> None:
    """Write the locks, or with --check compare them."""
    if "--check" in sys.argv[1:]:
        stale = [lock.name for lock in LOCKS if not _is_current(lock)]
        if stale:
            sys.exit(f"{' and '.join(stale)} no longer match pyproject.toml. Run: make lock, and commit the result.")
        print("locks: match pyproject.toml")
        return
    for lock in LOCKS:
        _compile(lock, "--upgrade", "--output-file", str(lock))


def _is_current(lock: Path) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder) / lock.name
        shutil.copy(lock, fresh)  # uv keeps the versions that it finds in the output file.
        _compile(lock, "--output-file", str(fresh))
        return fresh.read_bytes() == lock.read_bytes()


def _compile(lock: Path, *options: str) -> None:
    uv = Path(sys.executable).parent / "uv"
    environment = {**os.environ, "UV_SYSTEM_CERTS": "1"}  # noqa: TID251 - a tool beside the program, not part of it
    command = [str(uv), *COMPILE, "--python-version", "3.11", *LOCKS[lock], "pyproject.toml", *options]
    subprocess.run(command, check=True, cwd=ROOT, env=environment)


if __name__ == "__main__":
    main()
