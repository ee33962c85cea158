"""A Python without known security fixes is named at the start of a process."""

import pytest
from structlog.testing import capture_logs

from delivery.logs.interpreter import FIXED_IN, log_missing_fixes, missing_fixes


@pytest.mark.parametrize("branch", FIXED_IN)
def test_the_release_with_all_known_fixes_is_not_outdated_and_the_one_before_is(branch: tuple[int, int]) -> None:
    fixed_in = FIXED_IN[branch]

    assert missing_fixes((*branch, fixed_in)) is None
    assert f"{branch[0]}.{branch[1]}.{fixed_in}" == missing_fixes((*branch, fixed_in - 1))


def test_a_newer_branch_is_not_outdated() -> None:
    assert missing_fixes((3, 99, 0)) is None


def test_an_outdated_interpreter_is_one_line_that_names_both_versions() -> None:
    with capture_logs() as logged:
        log_missing_fixes((3, 11, 7))
        log_missing_fixes((3, 11, 99))

    (line,) = logged
    assert ("interpreter_outdated", "3.11.7", "3.11.14") == (line["event"], line["running"], line["fixed_in"])
