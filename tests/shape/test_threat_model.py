"""Every promise of the threat model names a test that exists."""

import ast
import re

from tests.shape.codebase import ROOT, read_text

_ROW = re.compile(r"^\| .+\. \| `(tests/[\w/]+\.py)::(test_\w+)` \|$", re.MULTILINE)
_PAGE = read_text("docs/security.md")


def test_every_promise_names_a_test_that_exists() -> None:
    promises = _PAGE.partition("## Promises and their tests")[2].partition("\n## ")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| ") and not line.startswith("| Promise")]
    named = _ROW.findall(promises)

    missing = [f"{place}::{name}" for place, name in named if name not in _tests_of(place)]

    assert len(rows) == len(named) > 20
    assert [] == missing


def _tests_of(place: str) -> set[str]:
    path = ROOT / place
    if not path.exists():
        return set()
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
