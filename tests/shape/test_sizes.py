"""Sizes, docstrings and names of modules and functions (docs/style.md)."""

import ast

from tests.shape.codebase import name_of, parse, python_files

FUNCTION_LIMIT = 40
MODULE_LIMIT = 300


def test_no_module_has_more_than_300_lines() -> None:
    sizes = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}

    assert {} == {name: lines for name, lines in sizes.items() if lines > MODULE_LIMIT}


def test_no_function_has_more_than_40_lines() -> None:
    too_long = [
        f"{name_of(path)}:{node.lineno} {node.name} has {lines} lines"
        for path in python_files()
        for node in ast.walk(parse(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (lines := (node.end_lineno or 0) - node.lineno + 1) > FUNCTION_LIMIT
    ]

    assert [] == too_long


def test_every_module_has_a_docstring() -> None:
    undocumented = [name_of(path) for path in python_files() if not ast.get_docstring(parse(path))]

    assert [] == undocumented


def test_no_module_has_a_name_without_a_subject() -> None:
    names = {"utils", "util", "helpers", "helper", "common", "misc", "shared"}

    assert [] == [name_of(path) for path in python_files() if names & {path.stem, *path.parent.parts}]
