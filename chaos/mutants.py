"""Tests of the test: builds that are broken on purpose, each of which must turn its trial red.

`chaos/mutations/*.toml` says of each what it breaks, by which edits to a copy of the tree, and which trial must see it.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
_BROKEN = Path(__file__).parent / "mutations"
_PACKAGES = ("api_stub", "chaos", "delivery", "tasks", "worker")
_RED = 1
_TRIES = 3
_TIMEOUT_S = 240


@dataclass(frozen=True, slots=True)
class Edit:
    """One replacement in one file of the copy."""

    file: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Mutant:
    """A broken build: the promise it breaks, how, and the trial that must see it."""

    name: str
    promise: str
    trial: tuple[str, ...]
    edits: tuple[Edit, ...]


def broken_builds() -> list[Mutant]:
    """Read all of them."""
    read = {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(_BROKEN.glob("*.toml"))}
    return [
        Mutant(name, facts["promise"], tuple(facts["trial"]), tuple(Edit(**edit) for edit in facts["edit"]))
        for name, facts in read.items()
    ]


def break_tree(build: Mutant, source: Path, target: Path) -> None:
    """Copy the packages and break the copy. Raises `ValueError` where an edit fits no place, or more than one."""
    for package in _PACKAGES:
        shutil.copytree(source / package, target / package, ignore=shutil.ignore_patterns("__pycache__"))
    for edit in build.edits:
        path = target / edit.file
        content = path.read_text(encoding="utf-8")
        if content.count(edit.before) != 1:
            raise ValueError(f"{build.name}: an edit of {edit.file} fits {content.count(edit.before)} places")
        path.write_text(content.replace(edit.before, edit.after), encoding="utf-8")


def main() -> int:
    """Play the trial of every broken build; end with 1 when one of them passed for sound."""
    parser = argparse.ArgumentParser(prog="python -m chaos.mutants", description="Show that the trials see defects.")
    parser.add_argument("name", nargs="*", help="these builds only")
    parser.add_argument("--jobs", type=int, default=1, help="so many builds at once")
    asked = parser.parse_args()
    builds = [build for build in broken_builds() if not asked.name or build.name in asked.name]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Whatever ends it, the trials end too.
    is_over = threading.Event()
    with ThreadPoolExecutor(asked.jobs, "breaking") as pool:
        seeing = [pool.submit(_is_seen, build, is_over) for build in builds]
        try:
            unseen = [each.result() for each in seeing].count(False)
        except KeyboardInterrupt:
            is_over.set()
            for child in psutil.Process().children():
                child.terminate()
            raise
    print(f"{len(builds)} broken builds, {unseen} unseen")
    return 1 if unseen else 0


def _is_seen(build: Mutant, is_over: threading.Event) -> bool:
    """Play its trial; what depends on luck may need a second one."""
    with tempfile.TemporaryDirectory(prefix="postroom-broken-") as folder:
        break_tree(build, ROOT, Path(folder))
        for number in range(1, _TRIES + 1):
            if is_over.is_set():
                return False
            ended = _play(build, Path(folder))
            if ended.returncode == _RED and "violations" in ended.stdout:
                print(f"{build.name}: red at try {number} ({build.promise})\n{_first_fault(ended.stdout)}", flush=True)
                return True
    print(f"{build.name}: NOT SEEN ({build.promise})\n{ended.stdout[-800:]}{ended.stderr[-800:]}", flush=True)
    return False


def _play(build: Mutant, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "chaos", *build.trial]
    environment = {**os.environ, "PYTHONPATH": str(folder)}  # noqa: TID251 - what children inherit is no setting
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
    )


def _first_fault(told: str) -> str:
    return next((line for line in told.splitlines() if line.startswith("    ")), "")


if __name__ == "__main__":
    sys.exit(main())
