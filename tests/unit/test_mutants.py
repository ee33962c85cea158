"""The edits of the mutants still fit the code that they break."""

from pathlib import Path

import pytest

from chaos.mutants import ROOT, Mutant, break_tree, broken_builds

REQUIRED = {
    "sweep_off",
    "bell_before_commit",
    "outcome_without_fencing",
    "inbox_outside_the_transaction",
    "key_after_commit",
    "mail_id_per_attempt",
    "vetting_only_at_enqueue",
}


def test_every_required_mutant_exists() -> None:
    assert set() == REQUIRED - {mutant.name for mutant in broken_builds()}


@pytest.mark.parametrize("mutant", broken_builds(), ids=lambda mutant: mutant.name)
def test_each_edit_of_a_mutant_fits_exactly_one_place_and_leaves_valid_python(mutant: Mutant, tmp_path: Path) -> None:
    break_tree(mutant, ROOT, tmp_path)

    for edit in mutant.edits:
        compile((tmp_path / edit.file).read_text(encoding="utf-8"), edit.file, "exec")
