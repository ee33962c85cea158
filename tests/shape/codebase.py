"""The files of the repository and how to read them, for the tests of its shape."""

import ast
import subprocess
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from delivery import vocabulary

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("api_stub", "delivery", "tasks", "worker")
"""The packages of the product."""


@cache
def files() -> tuple[Path, ...]:
    """Return every file that is in git or would be added to it, sorted."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(sorted(path for name in listed.split("\0") if name and (path := ROOT / name).is_file()))


def python_files() -> list[Path]:
    """Return our Python files, without the migrations, which Alembic writes."""
    return [path for path in files() if path.suffix == ".py" and "versions" not in path.parts]


def name_of(path: Path) -> str:
    """Return the path of a file relative to the repository."""
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    """Return the name of the module that a Python file is."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def top_folder_of(path: Path) -> str:
    """Return the top-level folder of a file, or its own name when it is in none."""
    return path.relative_to(ROOT).parts[0]


def is_product(path: Path) -> bool:
    """Return whether a file belongs to the product, and not to tests, trials, benchmarks or tools."""
    return top_folder_of(path) in PACKAGES


def importable_modules() -> list[str]:
    """Return the modules of the product, without programs: `__main__` and what Alembic runs."""
    files_of_product = [path for path in python_files() if is_product(path)]
    return [
        module_of(each) for each in files_of_product if each.name != "__main__.py" and "migrations" not in each.parts
    ]


def read_text(name: str) -> str:
    """Return the text of a file that is named relative to the repository."""
    return (ROOT / name).read_text(encoding="utf-8")


@cache
def parse(path: Path) -> ast.Module:
    """Parse a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def compose_file() -> dict[str, Any]:
    """Return the content of docker-compose.yml."""
    content: dict[str, Any] = yaml.safe_load(read_text("docker-compose.yml"))
    return content


def vocabulary_enums() -> list[type[StrEnum]]:
    """Return every enumeration of the vocabulary, in its order."""
    classes = [each for each in vars(vocabulary).values() if isinstance(each, type) and issubclass(each, StrEnum)]
    return [each for each in classes if each is not StrEnum]
