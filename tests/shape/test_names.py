"""A class name means one thing in the whole codebase, and tests replace no part of our own code."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.shape.codebase import PACKAGES, name_of, parse, python_files, top_folder_of

OURS = frozenset({*PACKAGES, "benchmarks", "chaos", "tests", "tools"})
# The peers of the benchmarks are written as the manuals of their libraries show it, with table names like ours.
_PEERS = ("benchmarks/peers/", "benchmarks/textbook_")
_PATCHERS = frozenset({"setattr", "delattr", "setitem", "delitem"})
_MOCKS = frozenset({"patch", "mock", "mocker", "unittest"})


def classes_of(path: Path) -> Iterator[str]:
    """Yield the names of the classes that a file defines."""
    return (node.name for node in ast.walk(parse(path)) if isinstance(node, ast.ClassDef))


def imports_of(tree: ast.Module) -> dict[str, str]:
    """Map each name that a file imports to the top-level package that it comes from."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {each.asname or each.name.partition(".")[0]: each.name.partition(".")[0] for each in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {each.asname or each.name: (node.module or "").partition(".")[0] for each in node.names}
    return found


def root_of(node: ast.expr) -> str | None:
    """Return the name that an expression such as `a.b().c` begins with."""
    while isinstance(node, ast.Attribute | ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def is_ours(target: ast.expr, imports: dict[str, str]) -> bool:
    """Return whether a patch replaces a part of our code. An object of unknown origin counts as ours."""
    if isinstance(target, ast.Constant):
        return str(target.value).partition(".")[0] in OURS
    root = root_of(target)
    return root is None or imports.get(root, "tests") in OURS


def patched_by(node: ast.AST, imports: dict[str, str]) -> list[ast.expr]:
    """Return what a node replaces, if it is a patch: by pytest, by `unittest.mock`, or by assigning to an import."""
    if isinstance(node, ast.Call):
        words = ast.unparse(node.func).split(".")
        is_patch = words == ["setattr"] or (words[0] == "monkeypatch" and words[-1] in _PATCHERS)
        is_mock = words[0] in _MOCKS and "patch" in words
        return node.args[:1] if is_patch or is_mock else []
    if isinstance(node, ast.Assign):
        return [each for each in node.targets if isinstance(each, ast.Attribute) and root_of(each) in imports]
    return []


def patches_of(tree: ast.Module) -> Iterator[str]:
    """Yield each patch of our own code in a file, with its line."""
    imports = imports_of(tree)
    for node in ast.walk(tree):
        if any(is_ours(target, imports) for target in patched_by(node, imports)):
            yield f"{getattr(node, 'lineno', 0)}: {ast.unparse(node)}"


def test_no_class_name_is_used_twice() -> None:
    places = defaultdict(list)
    for path in python_files():
        if not name_of(path).startswith(_PEERS):
            for name in classes_of(path):
                places[name].append(name_of(path))

    assert {} == {name: files for name, files in places.items() if len(files) > 1}


def test_tests_replace_no_part_of_our_own_code() -> None:
    tests = [path for path in python_files() if top_folder_of(path) == "tests"]

    assert [] == [f"{name_of(path)}:{patch}" for path in tests for patch in patches_of(parse(path))]


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("from tasks import lanes\nmonkeypatch.setattr(lanes, 'LANES', {})", 1),
        ("monkeypatch.setattr('tasks.lanes.LANES', {})", 1),
        ("monkeypatch.setattr(limiter, 'clock', None)", 1),
        ("from unittest.mock import patch\nwith patch('delivery.logs.place_of'): ...", 1),
        ("from unittest import mock\nfrom delivery import logs\nmock.patch.object(logs, 'place_of')", 1),
        ("from tasks import lanes\nlanes.LANES = {}", 1),
        ("from tasks import lanes\nsetattr(lanes, 'LANES', {})", 1),
        ("import time\nmonkeypatch.setattr(time, 'monotonic', None)", 0),
        ("monkeypatch.setattr('time.monotonic', None)", 0),
        ("monkeypatch.setenv('CI', '1')", 0),
        ("sender.answer = None", 0),
        ("client.patch(url)", 0),
    ],
)
def test_a_patch_of_our_own_code_is_found(code: str, count: int) -> None:
    assert count == len(list(patches_of(ast.parse(code))))
