"""`postroom lists` and `policy`: the word lists of rules, and what becomes of messages that rules hit."""

from dataclasses import asdict
from typing import Annotated

import typer

from delivery.logs.security import write_line
from delivery.records.database import transaction
from delivery.records.identities import clients
from delivery.rules import rule_edits
from delivery.rules.rule_set import Action, PolicyRow
from delivery.vocabulary import MessageType, RuleVerdict, Trust
from worker.cli.console import AsJson, missing, opened, operator, settings, show_json, show_table
from worker.cli.named_clients import ClientName, identify_client
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
        cells = [(number, each.trust, each.type, each.asked, each.then) for number, each in enumerate(found, start=1)]
        rows = [tuple(str(cell or anything) for cell in row) for row in cells]
        show_table("Policy", ["row", "client trust", "type", "a rule asks for", "then"], rows)


@policy.command("set")
def set_row(  # noqa: PLR0913, PLR0917 - an option for each condition
    then: Annotated[RuleVerdict, typer.Argument(help="What becomes of the message.")],
    person: Person,
    trust: Annotated[Trust | None, typer.Option(help="Only for clients of this trust.")] = None,
    type_: Annotated[MessageType | None, typer.Option("--type", help="Only for messages of this type.")] = None,
    asked: Annotated[Action | None, typer.Option("--asks", help="Only where a live rule asks for this.")] = None,
    place: Annotated[int | None, typer.Option("--row", min=1, help="Where to put it; a new row comes first.")] = None,
    comment: Comment = "",
) -> None:
    """Set what becomes of messages under these conditions, in place of the row with the same ones or as a new row."""
    row = PolicyRow(then, asked=asked, trust=trust, type=type_)
    change(lambda before: rule_edits.with_policy_row(before, row, place=place), person, comment or "policy: row set")


@policy.command("remove")
def remove_row(
    place: Annotated[int, typer.Argument(help="Number of the row.")], person: Person, comment: Comment = ""
) -> None:
    """Remove a row of the policy."""
    change(
        lambda before: rule_edits.without_policy_row(before, place), person, comment or f"policy: row {place} removed"
    )


@policy.command("trust")
def set_trust(
    client: ClientName, trust: Annotated[Trust, typer.Argument(help="How far staff trust the client.")], person: Person
) -> None:
    """Set how far staff trust a client, which the policy asks for. It counts from the next message on."""
    with opened(settings()) as database:
        client_id = identify_client(database, client)
        with transaction(database) as db:
            clients.put_trust(db, client_id, trust)
    write_line("client_trust_set", client_id=str(client_id), trust=trust, actor=operator(), claimed_name=person)
    typer.echo(f"postroom: client {client_id} is {trust}")
