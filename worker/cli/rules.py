"""`postroom rules`, `lists` and `policy`: see, check, change and measure what flags messages."""

import getpass
import hashlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from delivery.records.database import transaction
from delivery.records.rule_sets import store
from delivery.rulebook.documents import InvalidRuleSet, read_rule_set, write_rule_set
from delivery.rulebook.evaluation import answer, evaluate_scenes, for_scenes, report
from delivery.rulebook.scenes import InvalidScenes, Scene, read_scenes
from delivery.rulebook.shipped_set import shipped_rule_set
from delivery.rules import rule_edits
from delivery.rules.rule_engine import RuleEngine
from delivery.rules.rule_set import Mode, RuleSet
from worker.cli.console import AsJson, check_encoding, missing, opened, settings, show_json, show_table

rules = typer.Typer(help="See, check, change and measure the rules that flag messages.", no_args_is_help=True)
lists = typer.Typer(help="See and change the word lists of rules.", no_args_is_help=True)
policy = typer.Typer(help="See what becomes of messages that rules hit.", no_args_is_help=True)

_REFUSED = 2
RuleFile = Annotated[Path, typer.Argument(help="YAML file of a rule set.", exists=True, dir_okay=False)]
RuleName = Annotated[str, typer.Argument(help="Name of a rule.")]
ListName = Annotated[str, typer.Argument(help="Name of a list.")]
Entries = Annotated[list[str], typer.Argument(help="Entries: phrases or domains.")]
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


@rules.command("list")
def list_rules(*, as_json: AsJson = False) -> None:
    """List the rules in force, with their modes and versions."""
    rule_set = _in_force()
    if as_json:
        show_json({"rule_set": rule_set.number, "rules": [asdict(each) for each in rule_set.rules]})
        return
    rows = [(each.name, f"v{each.version}", each.mode.value, each.action.value, each.reason) for each in rule_set.rules]
    title = f"Rule set {rule_set.number}: {len(rule_set.rules)} rules, {len(rule_set.lists)} lists"
    show_table(title, ["rule", "version", "mode", "asks for", "reason"], rows)


@rules.command("show")
def show_rule(name: RuleName, *, as_json: AsJson = False) -> None:
    """Show one rule as it is in force."""
    try:
        rule = rule_edits.rule_of(_in_force(), name)
    except rule_edits.NoSuchRule as error:
        raise missing(str(error)) from error
    if as_json:
        show_json(asdict(rule))
    else:
        typer.echo(write_rule_set(RuleSet(rules=(rule,))))


@rules.command("check")
def check_rules(file: RuleFile) -> None:
    """Check a file of rules: names, types, lists, and the examples of every rule."""
    rule_set = _read(file)
    typer.echo(f"{file.name} can be used: {len(rule_set.rules)} rules, {len(rule_set.lists)} lists. All examples hold.")


@rules.command("export")
def export_rules() -> None:
    """Print the rule set in force as YAML."""
    typer.echo(write_rule_set(_in_force()), nl=False)


@rules.command("import")
def import_rules(file: RuleFile, person: Person, comment: Comment = "") -> None:
    """Put a file of rules in force, after checking it. Rules that changed get the next version."""
    wanted = _read(file)
    _change(lambda before: rule_edits.replaced(before, wanted), person, comment or f"import of {file.name}")


@rules.command("activate")
def activate(
    name: RuleName,
    person: Person,
    mode: Annotated[Mode, typer.Option(help="shadow records hits and does nothing, live acts.")] = Mode.LIVE,
    comment: Comment = "",
) -> None:
    """Put a rule into shadow or live mode. A rule that refuses needs a second person to go live."""
    _set_mode(name, mode, person, comment or f"{name}: {mode.value}")


@rules.command("stop")
def stop(name: RuleName, person: Person, comment: Comment = "") -> None:
    """Stop a rule: it goes back to draft, and no message is judged by it any more."""
    _set_mode(name, Mode.DRAFT, person, comment or f"{name} stopped")


@rules.command("history")
def show_history(
    *, limit: Annotated[int, typer.Option(min=1, help="Maximum number to list.")] = 20, as_json: AsJson = False
) -> None:
    """List the rule sets that were in force, newest first."""
    with opened(settings()) as database, transaction(database) as db:
        found = store.editions(db, limit)
    if as_json:
        show_json({"rule_sets": [asdict(each) for each in found]})
    else:
        rows = [(str(each.number), f"{each.made_at:%Y-%m-%d %H:%M:%S}", each.made_by, each.comment) for each in found]
        show_table("Rule sets", ["number", "made (UTC)", "by", "comment"], rows)


@rules.command("diff")
def show_difference(
    first: Annotated[int, typer.Argument(help="Number of a rule set.", min=1)],
    second: Annotated[int | None, typer.Argument(help="Number of another, else that in force.", min=1)] = None,
) -> None:
    """Show what changed between two rule sets."""
    with opened(settings()) as database, transaction(database) as db:
        before, after = store.read(db, first), store.read(db, second) if second else store.read_newest(db)
    if before is None or after is None:
        raise missing("there is no such rule set. `postroom rules history` shows all.")
    typer.echo("\n".join(rule_edits.changes(before, after)) or "Nothing differs.")


@rules.command("evaluate")
def evaluate(
    file: Annotated[Path, typer.Argument(help="Labelled scenes, JSON lines.", exists=True, dir_okay=False)],
    chosen: Annotated[
        Path | None, typer.Option("--rules", help="Judge by this YAML file.", exists=True, dir_okay=False)
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Judge labelled scenes by the shipped rules and show how often rules and people agree."""
    rule_set = _read(chosen) if chosen else shipped_rule_set()
    try:
        scenes: list[Scene] = list(read_scenes(file.read_bytes().splitlines(keepends=True)))
    except InvalidScenes as error:
        typer.echo(f"postroom: {file.name}, {error}", err=True)
        raise typer.Exit(_REFUSED) from error
    digest = hashlib.sha256(write_rule_set(rule_set).encode()).hexdigest()[:12]
    given = answer(rule_set, digest, evaluate_scenes(RuleEngine(for_scenes(rule_set)), scenes))
    if as_json:
        show_json(given)
    else:
        typer.echo(report(given))


@lists.command("list")
def list_lists(*, as_json: AsJson = False) -> None:
    """List the word lists in force."""
    found = _in_force().lists
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
    for each in _in_force().lists:
        if each.name == name:
            typer.echo("\n".join(each.entries))
            return
    raise missing(f"there is no list {name}. `postroom lists list` shows all.")


@lists.command("add")
def add_entries(name: ListName, entries: Entries, person: Person, comment: Comment = "") -> None:
    """Add entries to a list; a list that does not exist is made."""
    _change(lambda before: rule_edits.with_entries(before, name, add=entries), person, comment or f"list {name}: added")


@lists.command("remove")
def remove_entries(name: ListName, entries: Entries, person: Person, comment: Comment = "") -> None:
    """Remove entries from a list."""
    _change(
        lambda before: rule_edits.with_entries(before, name, remove=entries), person, comment or f"list {name}: removed"
    )


@policy.command("show")
def show_policy(*, as_json: AsJson = False) -> None:
    """Show the policy in force: the first row that fits a message decides."""
    found = _in_force().policy
    if as_json:
        show_json({"policy": [asdict(each) for each in found]})
    else:
        anything = "any"
        show_table(
            "Policy",
            ["client trust", "type", "a rule asks for", "then"],
            [tuple(str(cell or anything) for cell in (each.trust, each.type, each.asked, each.then)) for each in found],
        )


def _set_mode(name: str, mode: Mode, person: str, comment: str) -> None:
    _change(lambda before: rule_edits.with_mode(before, name, mode, person=person), person, comment)


def _in_force() -> RuleSet:
    with opened(settings()) as database, transaction(database) as db:
        return store.read_newest(db)


def _read(file: Path) -> RuleSet:
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
        raise typer.Exit(_REFUSED)
    return rule_set


def _change(edit: Callable[[RuleSet], RuleSet], person: str, comment: str) -> None:
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
