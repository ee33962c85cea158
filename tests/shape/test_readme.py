"""Statements of README.md and the documents that the code has to match."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
import typer
from typer.core import TyperGroup

from delivery.rules.retry import SCHEDULE
from delivery.vocabulary import State, Status
from tests.shape.codebase import ROOT, read_text
from tools import facts_table, import_layers, settings_table, state_diagram
from tools.generated import read_part
from worker.cli.app import app

README_LIMIT = 150
FIRST_SCREEN = 30
_FILE = re.compile(r"\b(?:api_stub|delivery|tasks|worker|tests|tools)/[\w/]+\.\w+")


def commands_of(group: TyperGroup, name: str) -> Iterator[str]:
    """Yield the commands of `postroom` as an operator types them, without arguments."""
    for word, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands_of(command, f"{name} {word}")
        else:
            yield f"{name} {word}"


def spelled(wait: timedelta) -> str:
    """Return a wait of the retry schedule as the documents write it, in its largest whole unit."""
    seconds = int(wait.total_seconds())
    size, unit = next(each for each in ((3600, "h"), (60, "min"), (1, "s")) if seconds % each[0] == 0)
    return f"{seconds // size} {unit}"


def test_the_table_of_settings_is_the_one_of_the_code() -> None:
    assert settings_table.table() == read_part(settings_table.DOCUMENT, settings_table.PART)


def test_the_tables_of_facts_are_those_of_the_code() -> None:
    assert facts_table.table() == read_part(facts_table.DOCUMENT, facts_table.PART)


def test_the_diagram_of_states_is_the_one_of_the_legal_transitions() -> None:
    assert state_diagram.diagram() == read_part(state_diagram.DOCUMENT, state_diagram.PART)


def test_the_table_of_imports_is_the_one_of_the_import_contracts() -> None:
    assert import_layers.table() == read_part(import_layers.DOCUMENT, import_layers.PART)


def test_a_generated_part_without_its_markers_is_an_error() -> None:
    with pytest.raises(ValueError, match="unpack"):
        read_part("README.md", "no such part")


def test_the_readme_is_short() -> None:
    assert README_LIMIT >= len(read_text("README.md").splitlines())


@pytest.mark.parametrize("command", ["make up", "make test"])
def test_the_first_screen_of_the_readme_has_the_two_commands(command: str) -> None:
    assert command in "\n".join(read_text("README.md").splitlines()[:FIRST_SCREEN])


def test_the_page_of_commands_has_every_command() -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    page = read_text("docs/commands.md")

    unnamed = [command for command in commands_of(group, "postroom") if f"| `{command}" not in page]

    assert [] == unnamed


def test_the_page_of_statuses_has_every_status_and_state() -> None:
    page = read_text("docs/statuses.md")

    assert [] == [word for word in (*Status, *State) if f"`{word}`" not in page]


def test_the_page_of_statuses_has_the_retry_schedule() -> None:
    *waits, last = map(spelled, SCHEDULE)

    assert f"{', '.join(waits)} and {last}" in read_text("docs/statuses.md")


def test_every_file_that_the_architecture_names_exists() -> None:
    named = set(_FILE.findall(read_text("docs/architecture.md")))

    assert [] == sorted(name for name in named if not (ROOT / name).is_file())
    assert len(named) > 50
