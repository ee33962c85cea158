"""What commands about rules share: the set in force, files of rules, and changes by a named person."""

import getpass
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from delivery.records.database import transaction
from delivery.records.rule_sets import store
from delivery.rulebook.documents import InvalidRuleSet, read_rule_set
from delivery.rules import rule_edits
from delivery.rules.rule_set import RuleSet
from worker.cli.console import check_encoding, missing, opened, settings

REFUSED = 2
RuleFile = Annotated[Path, typer.Argument(help="YAML file of a rule set.", exists=True, dir_okay=False)]
Comment = Annotated[str, typer.Option(help="Why the change is made.", callback=check_encoding)]
Person = Annotated[
    str,
    typer.Option(
        "--as",
        help="Name of the person who makes the change.",
        callback=check_encoding,
        default_factory=getpass.getuser,
        show_default="your user name",
    ),
]


def in_force() -> RuleSet:
    """Return the rule set in force; an empty one where there is none."""
    with opened(settings()) as database, transaction(database) as db:
        return store.read_newest(db)


def read_file(file: Path) -> RuleSet:
    """Read and check a file of rules. With faults, print them and exit."""
    try:
        rule_set = read_rule_set(file.read_text("utf-8"))
        faults = rule_edits.failed_examples(rule_set)
    except InvalidRuleSet as error:
        faults = error.faults
    except UnicodeDecodeError:
        faults = ["The file is not valid UTF-8."]
    if faults:
        typer.echo("\n".join(f"postroom: {file.name}: {fault}" for fault in faults), err=True)
        raise typer.Exit(REFUSED)
    return rule_set


def change(edit: Callable[[RuleSet], RuleSet], person: str, comment: str) -> None:
    """Change the rule set in force and say its number."""
    with opened(settings()) as database:
        try:
            with transaction(database) as db:
                before = store.read_newest(db)
                number = store.store(db, replace(edit(before), number=before.number), made_by=person, comment=comment)
        except rule_edits.NoSuchRule as error:
            raise missing(str(error)) from error
        except rule_edits.SecondPersonNeeded as error:
            with transaction(database) as db:
                store.store(db, error.rule_set, made_by=person, comment=f"{comment} (first person)")
            typer.echo(f"postroom: {error}", err=True)
            raise typer.Exit(1) from error
        except store.ChangedMeanwhile as error:
            typer.echo(f"postroom: {error}", err=True)
            raise typer.Exit(1) from error
    typer.echo(f"Rule set {number} is in force.")


def duration(text: str) -> timedelta:
    """Return the time that an operator typed. Raises `typer.BadParameter`."""
    number, unit = text[:-1], text[-1:]
    if not number.isascii() or not number.isdigit() or unit not in {"d", "h"}:
        raise typer.BadParameter(f"{text!r} is no time. Write a number and d or h, such as 30d.")
    return timedelta(days=int(number)) if unit == "d" else timedelta(hours=int(number))
