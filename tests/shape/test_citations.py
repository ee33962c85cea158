"""What code, comments and documents cite is in the repository."""

import re

import pytest

from tests.shape.codebase import files, name_of
from tests.shape.test_prose import Passage, prose

# The name of a file, also at the start or end of a sentence. With a star or braces it is a pattern, not a name.
_FILE = re.compile(r"(?<![\w*{./-])((?:[\w.-]+/)*[\w-]+\.(?:md|py|toml|yaml|yml|lock|mako))(?![\w*{/-])")
# Documents outside of the repository. Each name is written in two pieces, so that this file does not contain it.
_OUTSIDE = [
    "CONT" + "RACT.md",
    "DES" + "IGN.md",
    "HOUSE" + "_STYLE",
    "LAY" + "OUT_MOVES",
    "REN" + "AMES.md",
    "../sh" + "ared",
]

# Files of other projects, and lock files that this project does not use because they name a registry.
_OF_OTHERS = frozenset({"kombu/transport/redis.py", "pylock.toml", "uv.lock"})


def cited_files(passage: Passage) -> list[str]:
    """Return the files that a passage names, without those of other projects."""
    return [name for name in _FILE.findall(passage.text) if name not in _OF_OTHERS]


def exists(name: str) -> bool:
    """Return whether a file of the repository has this path, or a path that ends in it."""
    return any(f"/{name_of(path)}".endswith(f"/{name}") for path in files())


def test_every_file_that_a_comment_or_a_docstring_names_exists() -> None:
    passages = [each for each in prose() if each.kind in {"comment", "docstring"}]

    missing = [(each, name) for each in passages for name in cited_files(each) if not exists(name)]

    assert [] == [f"{each.place}:{each.first_line}: {name}" for each, name in missing]


@pytest.mark.parametrize("name", _OUTSIDE)
def test_no_file_cites_a_document_outside_of_the_repository(name: str) -> None:
    assert [] == [name_of(path) for path in files() if name.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("`rules/states.py` lists them.", ["rules/states.py"]),
        ("See docs/style.md.", ["docs/style.md"]),
        ("(pyproject.toml)", ["pyproject.toml"]),
        ("worker/cli/*.py and tests/{unit,steps}/x.py", []),
        ("It has no file.", []),
    ],
)
def test_a_cited_file_is_found(text: str, expected: list[str]) -> None:
    assert expected == cited_files(Passage("tasks/example.py", 1, "comment", text))
