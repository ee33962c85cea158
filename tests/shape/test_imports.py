"""Importing is free: no socket, no thread, no file, and no look at the environment."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shape.house import ROOT, importable_modules

# One process imports them all, so one worker of pytest should ask it.
pytestmark = pytest.mark.xdist_group("imports")


def watch(*modules: str, folder: Path = ROOT) -> dict[str, list[str]]:
    """Import these modules under watch and tell what each did."""
    program = folder / "tests" / "shape" / "watched_import.py"
    ended = subprocess.run([sys.executable, program, *modules], capture_output=True, text=True, check=True, cwd=folder)
    seen: dict[str, list[str]] = json.loads(ended.stdout)
    return seen


def test_importing_any_module_of_ours_does_nothing_but_define() -> None:
    modules = importable_modules()

    seen = watch(*modules)

    assert set(modules) == set(seen)
    assert {} == {module: deeds for module, deeds in seen.items() if deeds}


def test_the_watch_sees_a_module_that_does_something(tmp_path: Path) -> None:
    (tmp_path / "tests" / "shape").mkdir(parents=True)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tests" / "shape" / "watched_import.py").write_text(
        (ROOT / "tests" / "shape" / "watched_import.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    (tmp_path / "tasks" / "__init__.py").touch()
    naughty = {
        "reads": "import os\nHOME = os.getenv('HOME')",
        "reads_all": "import os\nALL = dict(os.environ)",
        "starts": "import threading\nthreading.Thread(target=print).start()",
        "opens": "import socket\nSOCKET = socket.socket()",
        "writes": "from pathlib import Path\nPath(__file__).with_name('x').write_text('x')",
        "breaks": "raise OSError('no')",
    }
    for name, code in naughty.items():
        (tmp_path / "tasks" / f"{name}.py").write_text(code, encoding="utf-8")
    (tmp_path / "tasks" / "idle.py").write_text("import os\nNAME = os.name", encoding="utf-8")

    seen = watch("tasks.idle", *(f"tasks.{name}" for name in naughty), folder=tmp_path)

    assert ["tasks.idle"] == [module for module, deeds in seen.items() if not deeds]


@pytest.mark.parametrize(
    ("entry", "of_others"),
    [
        ("worker.cli.app", {"aiosmtpd", "alembic", "fastapi", "mako", "starlette", "uvicorn"}),
        ("api_stub.app", {"aiosmtpd", "billiard", "celery", "kombu", "typer"}),
    ],
)
def test_a_process_holds_nothing_that_only_others_need(entry: str, of_others: set[str]) -> None:
    question = f"import sys, {entry}; print(*{{name.partition('.')[0] for name in sys.modules}})"

    loaded = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True, cwd=ROOT)

    assert set() == of_others & set(loaded.stdout.split())
