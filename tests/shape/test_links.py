"""Links between documents lead to a file and a heading, and the files that documents name exist."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.shape.codebase import ROOT, files, name_of, top_folder_of

_CODE = re.compile(r"^```.*?^```|^    [^\n]*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.+?) *#*$", re.MULTILINE)
_ANCHOR = re.compile(r'<a (?:id|name)="([^"]+)"')
# A name in backticks counts as a file of the repository when it begins with one of its folders and ends in a suffix.
_FOLDERS = sorted({top_folder_of(path) for path in files() if path.parent != ROOT})
_FILE = re.compile(rf"`((?:{'|'.join(map(re.escape, _FOLDERS))})/[\w./-]+\.\w+)`")


def documents() -> list[Path]:
    """Return the documents: those beside README.md and everything in docs/."""
    return [path for path in files() if path.suffix == ".md" and (path.parent == ROOT or top_folder_of(path) == "docs")]


@cache
def anchors_of(path: Path) -> frozenset[str]:
    """Return the anchors of a document as a code host makes them from its headings."""
    text = path.read_text(encoding="utf-8")
    return frozenset([*headings_of(_CODE.sub("", text)), *_ANCHOR.findall(text)])


def headings_of(text: str) -> Iterator[str]:
    """Yield an anchor for each heading: lower case, no punctuation, hyphens for blanks, a number when it repeats."""
    seen: dict[str, int] = {}
    for heading in _HEADING.findall(text):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        count = seen[anchor] = seen.get(anchor, -1) + 1
        yield f"{anchor}-{count}" if count else anchor


def broken_links_of(document: Path) -> list[str]:
    """Return the relative links of a document that lead to no file, or to no heading of it."""
    broken = []
    for target in _LINK.findall(_CODE.sub("", document.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        file = (document.parent / place).resolve() if place else document
        if not file.exists() or (anchor and (file.suffix != ".md" or anchor not in anchors_of(file))):
            broken.append(target)
    return broken


def unknown_files_of(document: Path) -> list[str]:
    """Return the files that a document names in backticks and the repository does not have."""
    return [name for name in _FILE.findall(document.read_text(encoding="utf-8")) if not (ROOT / name).is_file()]


@pytest.mark.parametrize("document", documents(), ids=name_of)
def test_every_relative_link_of_a_document_leads_to_a_file_and_a_heading(document: Path) -> None:
    assert [] == broken_links_of(document)


# The changelog names files by their names at the time.
@pytest.mark.parametrize("document", [each for each in documents() if each.stem != "CHANGELOG"], ids=name_of)
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    assert [] == unknown_files_of(document)


def test_a_link_to_a_missing_file_or_heading_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# The `one` heading\n\n    # no heading\n", encoding="utf-8")
    document = tmp_path / "page.md"
    document.write_text(
        "# Title\n[a](other.md) [b](other.md#the-one-heading) [c](#title) [d](https://example.com)\n"
        "[e](gone.md) [f](other.md#no-heading) [g](#nothing)\n\n    [h](not/a/link.md)\n",
        encoding="utf-8",
    )

    assert ["gone.md", "other.md#no-heading", "#nothing"] == broken_links_of(document)
