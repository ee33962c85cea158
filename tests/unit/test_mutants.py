"""The builds that are broken on purpose still fit the code that they break."""

from pathlib import Path

import pytest

from chaos.mutants import ROOT, Mutant, break_tree, broken_builds

ASKED = {
    "sweep_off",
    "bell_before_commit",
    "outcome_without_fencing",
    "inbox_outside_the_transaction",
    "key_after_commit",
    "mail_id_per_attempt",
    "vetting_only_at_enqueue",
}


def test_every_build_that_the_issue_asks_for_is_there() -> None:
    assert set() == ASKED - {build.name for build in broken_builds()}


@pytest.mark.parametrize("build", broken_builds(), ids=lambda build: build.name)
def test_the_edits_of_a_broken_build_fit_exactly_one_place_each_and_leave_python(build: Mutant, tmp_path: Path) -> None:
    break_tree(build, ROOT, tmp_path)

    for edit in build.edits:
        compile((tmp_path / edit.file).read_text(encoding="utf-8"), edit.file, "exec")
