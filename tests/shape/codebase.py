"""Where the house stands, and what is in it."""

import ast
import subprocess
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("api_stub", "delivery", "tasks", "worker")


@cache
def files() -> tuple[Path, ...]:
    """List every file that is in git or would be added to it."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(sorted(path for name in listed.split("\0") if name and (path := ROOT / name).is_file()))


def python_files() -> list[Path]:
    """List our Python files, without the migrations, which Alembic writes."""
    return [path for path in files() if path.suffix == ".py" and "versions" not in path.parts]


def name_of(path: Path) -> str:
    """Name a file as a person does."""
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    """Name the module of a Python file."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def importable_modules() -> list[str]:
    """List the modules of our packages, but for those that are programs: `__main__` and what Alembic runs."""
    inside = [path for path in python_files() if path.relative_to(ROOT).parts[0] in PACKAGES]
    return [module_of(path) for path in inside if path.name != "__main__.py" and "migrations" not in path.parts]


def parse(path: Path) -> ast.Module:
    """Parse a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
