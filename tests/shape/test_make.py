"""`make help` is readable, and pre-commit runs the checks of `make check`."""

import re
import subprocess

import yaml

from tests.shape.codebase import ROOT

_MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def read_help() -> list[str]:
    """Run `make help` and return its lines."""
    command = ["make", "--no-print-directory", "help"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def recipe_of(target: str) -> list[str]:
    """Return the commands of a target, with `$(BIN)` filled in."""
    recipe = re.search(rf"^{target}:.*\n((?:\t.*\n)+)", _MAKEFILE, re.MULTILINE)
    assert recipe, target
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]


def test_the_columns_of_make_help_are_straight() -> None:
    rows = [line for line in read_help() if line.startswith("  ")]

    columns = {row.index(row[2:].split(maxsplit=1)[1], 2) for row in rows}

    assert 1 == len(columns)


def test_make_help_fits_a_terminal() -> None:
    assert [] == [line for line in read_help() if len(line) > 110]


def test_make_help_lists_every_target_that_can_be_made() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", _MAKEFILE, re.MULTILINE)
    assert phony

    targets = " ".join(read_help()).partition("Targets:")[2].partition("Variables:")[0]

    assert [] == [name for name in phony[1].split() if f"  {name}  " not in targets]


def test_make_help_explains_every_variable_that_a_recipe_reads() -> None:
    read = set(re.findall(r"\$\((?:if |or )?\$?\(?([A-Z]+)\)?", _MAKEFILE)) - {"BIN"}

    explained = set(re.findall(r"^  ([A-Z]+)=", "\n".join(read_help()), re.MULTILINE))

    assert explained == {name for name in read if not name.startswith("MAKE")}


def test_pre_commit_runs_exactly_the_checks_of_make_check() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))

    hooks = [hook for repository in config["repos"] for hook in repository["hooks"]]

    assert recipe_of("check") == [hook["entry"] for hook in hooks]
    assert {(True, False, "system")} == {(h["always_run"], h["pass_filenames"], h["language"]) for h in hooks}
