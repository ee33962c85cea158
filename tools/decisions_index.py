"""Write docs/decisions/README.md from the decisions beside it.

python -m tools.decisions_index          # write the index
python -m tools.decisions_index --check  # fail when the index differs or a decision breaks a rule of its form
"""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "decisions"
INDEX_NAME = "README.md"

_LINK = r"\[\d{4}\]\(\d{4}-[a-z0-9-]+\.md\)"
_LINKS = rf"{_LINK}(?:, {_LINK})*"
_DATE = r"\d{4}-\d{2}-\d{2}"
_NAME = re.compile(r"\d{4}-[a-z0-9]+(?:-[a-z0-9]+)*\.md")
_HEADING = re.compile(r"# (?P<number>\d{4})\. (?P<title>\S.*)")
_STATUS = re.compile(rf"accepted|(?:amended|superseded) by {_LINKS}")
_FIELDS = {
    "Status": _STATUS,
    "Date": re.compile(rf"{_DATE}(?:, (?:changed|recorded) {_DATE})?"),
    "Supersedes": re.compile(_LINKS),
    "Amends": re.compile(_LINKS),
}
_REQUIRED = ("Status", "Date")
_SECTIONS = ["Context", "Decision", "Consequences"]
# The field of the later decision, and the status that the earlier one must have.
_PAIRS = {"Supersedes": "superseded", "Amends": "amended"}

_HEAD = """\
<!-- Written by `make format` (tools/decisions_index.py). Do not edit. -->
# Decisions

What was decided, why, and what follows from it. Decisions 1 to 5 confirm the design that Postroom started from; the
later ones change it or add to it. Numbers were measured on the 2-core machine on which Postroom is built.

## Add a decision

Copy the template below to `NNNN-short-title.md` with the next free number, fill it in, and run `make format`, which
writes this index. `make check` and `tests/shape/test_decisions.py` check the form and the links.

Leave an accepted decision as it is, unless a fact in it is wrong. When a later decision replaces it, set its status to
`superseded by` that one; when a later decision changes a part of it, to `amended by`. The later decision links back
with a line `Supersedes` or `Amends` below its date. A date may be followed by `, changed` or `, recorded` and another.

    # NNNN. One statement of at most a line

    - Status: accepted
    - Date: YYYY-MM-DD

    ## Context

    What was the case, what was measured, and what else was possible.

    ## Decision

    What Postroom does, and in which file.

    ## Consequences

    What follows from it: what it costs, what it rules out, what to watch.

## All decisions
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """One file of the folder as it was read. Any part of it may be wrong."""

    name: str
    number: str
    """The four digits in the heading, or an empty string."""
    title: str
    fields: Mapping[str, str]
    sections: Sequence[str]

    def linked(self, field: str) -> list[str]:
        """Return the file names that a field links to."""
        return re.findall(r"\]\(([^)]+)\)", self.fields.get(field, ""))

    def is_status(self, word: str) -> bool:
        """Return whether the status begins with this word."""
        return self.fields.get("Status", "").startswith(f"{word} by ")


def main() -> None:
    """Write the index, or with --check compare it. Exit with every fault found in the decisions."""
    decisions = read(FOLDER)
    found = list(faults(decisions))
    if found:
        sys.exit("\n".join(["These decisions break a rule of docs/decisions/README.md:", *found]))
    path = FOLDER / INDEX_NAME
    if "--check" not in sys.argv[1:]:
        path.write_text(index(decisions), encoding="utf-8")
    elif not path.is_file() or path.read_text(encoding="utf-8") != index(decisions):
        sys.exit("docs/decisions/README.md is out of date. Run: make format")


def read(folder: Path) -> list[Decision]:
    """Read every decision in this folder, in the order of the file names."""
    return [_read(path) for path in sorted(folder.glob("*.md")) if path.name != INDEX_NAME]


def index(decisions: Sequence[Decision]) -> str:
    """Return the text of the index."""
    rows = [f"| [{each.number}]({each.name}) | {each.title} | {each.fields['Status']} |" for each in decisions]
    return "\n".join([_HEAD, "| Number | Decision | Status |", "|---|---|---|", *rows, ""])


def faults(decisions: Sequence[Decision]) -> Iterator[str]:
    """Yield every fault in form, numbers and links, each as one line that begins with a file name."""
    for expected, each in enumerate(decisions, start=1):
        if not each.name.startswith(f"{expected:04d}-"):
            yield f"{each.name}: the next number is {expected:04d}"
        yield from _faults_of_form(each)
    by_name = {each.name: each for each in decisions}
    for each in decisions:
        for field, word in _PAIRS.items():
            yield from _faults_of_links(each, field, word, by_name)


def _read(path: Path) -> Decision:
    text = path.read_text(encoding="utf-8")
    heading = _HEADING.fullmatch(text.partition("\n")[0])
    head = text.partition("\n## ")[0]
    return Decision(
        name=path.name,
        number=heading["number"] if heading else "",
        title=heading["title"] if heading else "",
        fields=dict(re.findall(r"^- (\w+): (.*)$", head, re.MULTILINE)),
        sections=re.findall(r"^## (.*)$", text, re.MULTILINE),
    )


def _faults_of_form(decision: Decision) -> Iterator[str]:
    if not _NAME.fullmatch(decision.name):
        yield f"{decision.name}: a decision is called NNNN-short-title.md"
    if decision.number != decision.name[:4] or not decision.title:
        yield f"{decision.name}: the first line is not `# {decision.name[:4]}. Title`"
    for field in _REQUIRED:
        if field not in decision.fields:
            yield f"{decision.name}: {field} is missing"
    for field, value in decision.fields.items():
        if field not in _FIELDS or not _FIELDS[field].fullmatch(value):
            yield f"{decision.name}: not a legal field: {field}: {value}"
    if list(decision.sections) != _SECTIONS:
        yield f"{decision.name}: the sections are not {', '.join(_SECTIONS)}"


def _faults_of_links(decision: Decision, field: str, word: str, by_name: Mapping[str, Decision]) -> Iterator[str]:
    """Yield a fault for each link of one kind without a target, to the wrong side in time, or without a link back."""
    for name in decision.linked("Status") if decision.is_status(word) else []:
        later = by_name.get(name)
        if later is None or later.name <= decision.name:
            yield f"{decision.name}: {word} by {name}, which is no later decision"
        elif decision.name not in later.linked(field):
            yield f"{decision.name}: {word} by {name}, which does not say `{field}`"
    for name in decision.linked(field):
        earlier = by_name.get(name)
        if earlier is None or earlier.name >= decision.name:
            yield f"{decision.name}: {field} {name}, which is no earlier decision"
        elif not earlier.is_status(word) or decision.name not in earlier.linked("Status"):
            yield f"{decision.name}: {field} {name}, which is not `{word} by` it"


if __name__ == "__main__":
    main()
