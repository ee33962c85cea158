"""`postroom lists` and `policy`: the word lists of rules, and what becomes of messages that rules hit."""

from dataclasses import asdict
from typing import Annotated

import typer

from delivery.rules import rule_edits
from worker.cli.console import AsJson, missing, show_json, show_table
from worker.cli.rule_sets import Comment, Person, change, in_force

lists = typer.Typer(help="See and change the word lists of rules.", no_args_is_help=True)
policy = typer.Typer(help="See what becomes of messages that rules hit.", no_args_is_help=True)

ListName = Annotated[str, typer.Argument(help="Name of a list.")]
Entries = Annotated[list[str], typer.Argument(help="Entries: phrases or domains.")]


@lists.command("list")
def list_lists(*, as_json: AsJson = False) -> None:
    """List the word lists in force."""
    found = in_force().lists
    if as_json:
        show_json({"lists": [{"name": each.name, "kind": each.kind, "entries": len(each.entries)} for each in found]})
    else:
        show_table(
            "Word lists",
            ["list", "kind", "entries", "meaning"],
            [(each.name, each.kind.value, f"{len(each.entries):,}", each.meaning) for each in found],
        )


@lists.command("show")
def show_list(name: ListName) -> None:
    """Print the entries of a list, one a line."""
    for each in in_force().lists:
        if each.name == name:
            typer.echo("\n".join(each.entries))
            return
    raise missing(f"there is no list {name}. `postroom lists list` shows all.")


@lists.command("add")
def add_entries(name: ListName, entries: Entries, person: Person, comment: Comment = "") -> None:
    """Add entries to a list; a list that does not exist is made."""
    change(lambda before: rule_edits.with_entries(before, name, add=entries), person, comment or f"list {name}: added")


@lists.command("remove")
def remove_entries(name: ListName, entries: Entries, person: Person, comment: Comment = "") -> None:
    """Remove entries from a list."""
    change(
        lambda before: rule_edits.with_entries(before, name, remove=entries), person, comment or f"list {name}: removed"
    )


@policy.command("show")
def show_policy(*, as_json: AsJson = False) -> None:
    """Show the policy in force: the first row that fits a message decides."""
    found = in_force().policy
    if as_json:
        show_json({"policy": [asdict(each) for each in found]})
    else:
        anything = "any"
        show_table(
            "Policy",
            ["client trust", "type", "a rule asks for", "then"],
            [tuple(str(cell or anything) for cell in (each.trust, each.type, each.asked, each.then)) for each in found],
        )
