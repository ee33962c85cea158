"""Prose is plain: docstrings begin with what the code does, and each sentence names its actor."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.shape.codebase import ROOT, files, name_of, python_files

# A docstring begins with Return, Store, Check, Send; these words say nothing about what the code does.
_OPENINGS = re.compile(r"(?:Say|Give|Answer|Tell)s?\b")
# These words hide which client, worker, thread or operator is meant, or are no longer in use.
_VAGUE = re.compile(r"\b(?:whoever|nobody|somebody|strangers?|anew|for\s+ever)\b", re.IGNORECASE)
_SUPERSEDED = re.compile(r"^- Status: superseded", re.MULTILINE)
_COMMENT = re.compile(r"(?:^|\s)#+:?\s+(.*)$", re.MULTILINE)
# Files other than Python that have `#` comments.
_COMMENTED = frozenset({".toml", ".yaml", ".yml", ".awk", ".example", ""})

# Exceptions: a file, a part of the line, and the reason. An entry that fits nothing is refused.
ALLOWED = {
    ("docs/style.md", "Not *whoever, nobody, somebody, strangers*"): "It names the words that this test refuses.",
    ("docs/style.md", "not *anew, for ever"): "It names the words that this test refuses.",
    ("docs/glossary.md", "| `strangers` | keys in Redis |"): "It lists a name on the wire.",
    ("worker/embedded/supervisor.py", "somebody who blocks everybody"): "It speaks of people.",
}


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of prose: the file that it is in, the number of its first line, what kind it is, and its text."""

    place: str
    first_line: int
    kind: str
    text: str

    def vague_lines(self) -> Iterator[tuple[int, str]]:
        """Yield each line that holds a vague word, with its number in the file."""
        for found in _VAGUE.finditer(self.text):
            before = self.text.count("\n", 0, found.start())
            yield self.first_line + before, self.text.split("\n")[before].strip()

    @property
    def is_badly_opened(self) -> bool:
        """Whether this is a docstring whose first word says nothing about the code."""
        return self.kind == "docstring" and _OPENINGS.match(self.text.strip()) is not None


@cache
def prose() -> tuple[Passage, ...]:
    """Return all prose of the repository."""
    return tuple(read_prose())


def read_prose() -> Iterator[Passage]:
    """Yield all prose of the repository."""
    for path in python_files():
        yield from prose_of_python(name_of(path), path.read_text(encoding="utf-8"))
    for path in files():
        if path.suffix == ".md":
            yield from prose_of_document(path)
        elif path.suffix in _COMMENTED:
            lines = path.read_text(encoding="utf-8").splitlines()
            for number, line in enumerate(lines, start=1):
                yield from (Passage(name_of(path), number, "comment", found) for found in _COMMENT.findall(line))


def prose_of_document(path: Path) -> Iterator[Passage]:
    """Yield the text of a document, unless it is history: the changelog, or a decision that no longer holds."""
    text = path.read_text(encoding="utf-8")
    if path.name != "CHANGELOG.md" and not ("decisions" in path.parts and _SUPERSEDED.search(text)):
        yield Passage(name_of(path), 1, "document", text)


def prose_of_python(place: str, text: str) -> Iterator[Passage]:
    """Yield all prose of a Python file. Strings of tests are data, so they are left out."""
    tree = ast.parse(text)
    docstrings = list(docstrings_of(tree))
    known = {id(node) for node in docstrings}
    yield from (Passage(place, node.lineno, "docstring", str(node.value)) for node in docstrings)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield Passage(place, token.start[0], "comment", token.string)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield Passage(place, node.lineno, "name", node.name.replace("_", " "))
        elif isinstance(node, ast.Constant) and id(node) not in known and not place.startswith("tests/"):
            yield from string_of(place, node)


def docstrings_of(tree: ast.Module) -> Iterator[ast.Constant]:
    """Yield the docstrings of modules, classes and functions, and those below a constant or a field."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            values = [child.value for child in node.body if isinstance(child, ast.Expr)]
            yield from (value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str))


def string_of(place: str, node: ast.Constant) -> Iterator[Passage]:
    """Yield a string of more than one word, or such a part of an f-string, because people may read it."""
    if isinstance(node.value, str) and " " in node.value.strip():
        yield Passage(place, node.lineno, "string", node.value)


def test_every_docstring_begins_with_what_the_code_does() -> None:
    refused = [each for each in prose() if each.is_badly_opened]

    assert [] == [f"{each.place}:{each.first_line}: {each.text.strip()[:60]}" for each in refused]


def test_prose_names_its_actor_in_modern_words() -> None:
    refused = [(each, number, line) for each in prose() for number, line in each.vague_lines()]

    assert [] == [
        f"{each.place}:{number}: {each.kind}: {line}"
        for each, number, line in refused
        if not any(place == each.place and part in line for place, part in ALLOWED)
    ]


def test_the_allow_list_holds_no_entry_without_a_use_and_a_reason() -> None:
    texts = {path: (ROOT / path).read_text(encoding="utf-8") for path, _ in ALLOWED if (ROOT / path).is_file()}

    assert [] == [entry for entry in ALLOWED if entry[1] not in texts.get(entry[0], "")]
    assert [] == [entry for entry, reason in ALLOWED.items() if not reason.endswith(".")]


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        ('"""A bell that nobody rang."""', ["docstring"]),
        ("# Whoever asks second gets nothing.", ["comment"]),
        ("LIMIT = 1\n'''Kept for ever.'''", ["docstring"]),
        ("def test_a_bell_of_somebody():\n    pass", ["name"]),
        ("def f(x):\n    print(f'{x} is opened anew')", ["string"]),
        ("NOBODY = 'nobody'\nADDRESS = 'nobody@example.com'", []),
        ("# Everybody may read it, forever.", []),
    ],
)
def test_a_vague_word_is_found_where_people_read_it(code: str, kinds: list[str]) -> None:
    passages = prose_of_python("tasks/example.py", code)

    assert kinds == [passage.kind for passage in passages if list(passage.vague_lines())]


@pytest.mark.parametrize(
    ("text", "expected"), [("Say why.", True), ("Gives it.", True), ("Answering takes 1 s.", False), ("Return.", False)]
)
def test_a_bad_opening_is_found(text: str, *, expected: bool) -> None:
    assert expected is Passage("tasks/example.py", 1, "docstring", text).is_badly_opened
