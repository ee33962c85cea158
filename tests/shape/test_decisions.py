"""docs/decisions has one file for each decision, in one form, with links in both directions and a generated index."""

from pathlib import Path

import pytest

from tools.decisions_index import FOLDER, INDEX_NAME, faults, index, read

_BODY = "## Context\n\nSo it was.\n\n## Decision\n\nThis.\n\n## Consequences\n\nThat.\n"


def write(folder: Path, number: int, fields: str = "- Status: accepted\n- Date: 2026-11-28", body: str = _BODY) -> None:
    """Write a decision, by default one without an error."""
    text = f"# {number:04d}. Decision {number}\n\n{fields}\n\n{body}"
    (folder / f"{number:04d}-decision.md").write_text(text, encoding="utf-8")


def test_the_index_is_the_one_that_the_tool_writes() -> None:
    assert index(read(FOLDER)) == (FOLDER / INDEX_NAME).read_text(encoding="utf-8")


def test_every_decision_has_its_form_its_number_and_links_in_both_directions() -> None:
    assert [] == list(faults(read(FOLDER)))


def test_the_index_lists_number_title_and_status(tmp_path: Path) -> None:
    write(tmp_path, 1)
    (tmp_path / INDEX_NAME).write_text("Not read as a decision.", encoding="utf-8")

    written = index(read(tmp_path))

    assert written.endswith("\n| [0001](0001-decision.md) | Decision 1 | accepted |\n")


@pytest.mark.parametrize(
    ("earlier", "later"),
    [("superseded by", "Supersedes"), ("amended by", "Amends")],
)
def test_a_decision_that_is_replaced_or_changed_by_a_later_one_is_valid(
    tmp_path: Path, earlier: str, later: str
) -> None:
    write(tmp_path, 1, f"- Status: {earlier} [0002](0002-decision.md)\n- Date: 2026-11-24, changed 2026-11-25")
    write(tmp_path, 2, f"- Status: accepted\n- Date: 2026-11-25\n- {later}: [0001](0001-decision.md)")

    assert [] == list(faults(read(tmp_path)))


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ("- Status: done\n- Date: 2026-11-28", "not a legal field: Status: done"),
        ("- Status: accepted\n- Date: yesterday", "not a legal field: Date: yesterday"),
        ("- Status: accepted\n- Date: 2026-11-28\n- Mood: good", "not a legal field: Mood: good"),
        ("- Status: accepted", "Date is missing"),
        ("- Date: 2026-11-28", "Status is missing"),
        ("- Status: superseded by 0002\n- Date: 2026-11-28", "not a legal field: Status: superseded by 0002"),
        (
            "- Status: superseded by [0009](0009-decision.md)\n- Date: 2026-11-28",
            "superseded by 0009-decision.md, which is no later decision",
        ),
        (
            "- Status: superseded by [0001](0001-decision.md)\n- Date: 2026-11-28",
            "superseded by 0001-decision.md, which is no later decision",
        ),
        (
            "- Status: superseded by [0003](0003-decision.md)\n- Date: 2026-11-28",
            "superseded by 0003-decision.md, which does not say `Supersedes`",
        ),
        (
            "- Status: accepted\n- Date: 2026-11-28\n- Supersedes: [0001](0001-decision.md)",
            "Supersedes 0001-decision.md, which is not `superseded by` it",
        ),
        (
            "- Status: accepted\n- Date: 2026-11-28\n- Amends: [0003](0003-decision.md)",
            "Amends 0003-decision.md, which is no earlier decision",
        ),
    ],
)
def test_a_wrong_field_or_link_is_found(tmp_path: Path, fields: str, fault: str) -> None:
    for number in (1, 3):
        write(tmp_path, number)
    write(tmp_path, 2, fields)

    assert [f"0002-decision.md: {fault}"] == list(faults(read(tmp_path)))


def test_a_gap_in_the_numbers_is_found(tmp_path: Path) -> None:
    for number in (1, 3):
        write(tmp_path, number)

    assert ["0003-decision.md: the next number is 0002"] == list(faults(read(tmp_path)))


def test_a_number_that_is_used_twice_is_found(tmp_path: Path) -> None:
    write(tmp_path, 1)
    (tmp_path / "0001-other.md").write_text((tmp_path / "0001-decision.md").read_text(encoding="utf-8"))

    assert ["0001-other.md: the next number is 0002"] == list(faults(read(tmp_path)))


def test_a_missing_section_and_a_wrong_heading_are_found(tmp_path: Path) -> None:
    write(tmp_path, 1, body=_BODY.replace("## Context", "## Story"))
    write(tmp_path, 2)
    (tmp_path / "0002-decision.md").rename(tmp_path / "0002-Other title.md")
    write(tmp_path, 3)
    (tmp_path / "0003-decision.md").write_text(
        (tmp_path / "0003-decision.md").read_text(encoding="utf-8").replace("# 0003.", "# 0004.")
    )

    assert [
        "0001-decision.md: the sections are not Context, Decision, Consequences",
        "0002-Other title.md: a decision is called NNNN-short-title.md",
        "0003-decision.md: the first line is not `# 0003. Title`",
    ] == list(faults(read(tmp_path)))
