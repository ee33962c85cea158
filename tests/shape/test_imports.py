"""Importing has no effect: no socket, no thread, no file, no environment variable."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.shape.codebase import ROOT, importable_modules

# One process imports all modules, so all these tests should run in one worker of pytest.
pytestmark = pytest.mark.xdist_group("imports")


def watch(*modules: str, folder: Path = ROOT) -> dict[str, list[str]]:
    """Import these modules in a watched process and return the effects of each."""
    program = folder / "tests" / "shape" / "watched_import.py"
    done = subprocess.run([sys.executable, program, *modules], capture_output=True, text=True, check=True, cwd=folder)
    effects: dict[str, list[str]] = json.loads(done.stdout)
    return effects


def test_importing_a_module_has_no_effect() -> None:
    modules = importable_modules()

    effects = watch(*modules)

    assert set(modules) == set(effects)
    assert {} == {module: found for module, found in effects.items() if found}


def test_a_module_with_an_effect_is_found(tmp_path: Path) -> None:
    (tmp_path / "tests" / "shape").mkdir(parents=True)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tests" / "shape" / "watched_import.py").write_text(
        (ROOT / "tests" / "shape" / "watched_import.py").read_text(encoding="utf-8"), encoding="utf-8"
    )
    (tmp_path / "tasks" / "__init__.py").touch()
    programs = {
        "reads": "import os\nHOME = os.getenv('HOME')",
        "reads_all": "import os\nALL = dict(os.environ)",
        "starts": "import threading\nthreading.Thread(target=print).start()",
        "opens": "import socket\nSOCKET = socket.socket()",
        "writes": "from pathlib import Path\nPath(__file__).with_name('x').write_text('x')",
        "breaks": "raise OSError('no')",
    }
    for name, code in programs.items():
        (tmp_path / "tasks" / f"{name}.py").write_text(code, encoding="utf-8")
    (tmp_path / "tasks" / "harmless.py").write_text("import os\nNAME = os.name", encoding="utf-8")

    effects = watch("tasks.harmless", *(f"tasks.{name}" for name in programs), folder=tmp_path)

    assert ["tasks.harmless"] == [module for module, found in effects.items() if not found]


@pytest.mark.parametrize(
    ("entry", "foreign"),
    [
        ("worker.cli.app", {"aiosmtpd", "alembic", "fastapi", "mako", "starlette", "uvicorn"}),
        ("api_stub.app", {"aiosmtpd", "billiard", "celery", "kombu", "typer"}),
    ],
)
def test_a_process_imports_nothing_that_only_others_need(entry: str, foreign: set[str]) -> None:
    question = f"import sys, {entry}; print(*{{name.partition('.')[0] for name in sys.modules}})"

    loaded = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=True, cwd=ROOT)

    assert set() == foreign & set(loaded.stdout.split())
