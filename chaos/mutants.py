"""Mutants: builds that are broken on purpose, each of which must fail its trial.

Each file in `chaos/mutations` names the promise it breaks, the edits to a copy of the tree, and its trial.
"""

import argparse
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

from tests.support import processes
from tests.support.processes import run_to_end

ROOT = processes.ROOT

_MUTATIONS = Path(__file__).parent / "mutations"
_FOLDERS = ("api_stub", "chaos", "delivery", "tasks", "tests/support", "worker")
_VIOLATED = 1
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
    """A broken build: the promise it breaks, how, and the trial that must fail."""

    name: str
    promise: str
    trial: tuple[str, ...]
    edits: tuple[Edit, ...]


def broken_builds() -> list[Mutant]:
    """Read all mutants."""
    read = {path.stem: tomllib.loads(path.read_text(encoding="utf-8")) for path in sorted(_MUTATIONS.glob("*.toml"))}
    return [
        Mutant(name, facts["promise"], tuple(facts["trial"]), tuple(Edit(**edit) for edit in facts["edit"]))
        for name, facts in read.items()
    ]


def break_tree(build: Mutant, source: Path, target: Path) -> None:
    """Copy what a trial needs and break the copy. Raises `ValueError` where an edit does not fit exactly one place."""
    for folder in _FOLDERS:
        shutil.copytree(source / folder, target / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(source / "tests" / "__init__.py", target / "tests")  # Without it an installed `tests` would win.
    for edit in build.edits:
        path = target / edit.file
        content = path.read_text(encoding="utf-8")
        if content.count(edit.before) != 1:
            raise ValueError(f"{build.name}: an edit of {edit.file} fits {content.count(edit.before)} places")
        path.write_text(content.replace(edit.before, edit.after), encoding="utf-8")


def main() -> int:
    """Run the trial of every mutant; return 1 when one of them passed."""
    parser = argparse.ArgumentParser(
        prog="python -m chaos.mutants", description="Show that the trials detect broken builds."
    )
    parser.add_argument("name", nargs="*", help="try only these builds (default: all)")
    parser.add_argument("--jobs", type=int, default=1, help="builds to try at once (default: 1)")
    options = parser.parse_args()
    builds = [build for build in broken_builds() if not options.name or build.name in options.name]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM ends the trials too.
    is_over = threading.Event()
    with ThreadPoolExecutor(options.jobs, "mutants") as pool:
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
    """Run its trial until it fails, three times at most: whether a fault hits depends on chance."""
    with tempfile.TemporaryDirectory(prefix="postroom-broken-") as folder:
        break_tree(build, ROOT, Path(folder))
        for number in range(1, _TRIES + 1):
            if is_over.is_set():
                return False
            ended = _play(build, Path(folder))
            if ended.returncode == _VIOLATED and "violations" in ended.stdout:
                print(
                    f"{build.name}: failed at try {number} ({build.promise})\n{_first_violation(ended.stdout)}",
                    flush=True,
                )
                return True
    print(f"{build.name}: NOT SEEN ({build.promise})\n{ended.stdout[-800:]}{ended.stderr[-800:]}", flush=True)
    return False


def _play(build: Mutant, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "chaos", *build.trial]
    return run_to_end(command, cwd=folder, environment={"PYTHONPATH": str(folder)}, timeout_s=_TIMEOUT_S)


def _first_violation(output: str) -> str:
    return next((line for line in output.splitlines() if line.startswith("    ")), "")


if __name__ == "__main__":
    sys.exit(main())
