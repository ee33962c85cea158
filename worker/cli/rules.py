"""`postroom rules`: see, check and change the rules that flag messages."""

from dataclasses import asdict
from typing import Annotated

import typer

from delivery.records.database import transaction
from delivery.records.rule_sets import store
from delivery.rulebook.documents import write_rule_set
from delivery.rules import rule_edits
from delivery.rules.rule_set import Mode, RuleSet
from worker.cli.console import AsJson, missing, opened, settings, show_json, show_table
from worker.cli.rule_releases import offer_release
from worker.cli.rule_sets import Comment, Person, RuleFile, change, in_force, read_file

rules = typer.Typer(help="See, check, change and measure the rules that flag messages.", no_args_is_help=True)

RuleName = Annotated[str, typer.Argument(help="Name of a rule.")]


@rules.command("list")
def list_rules(*, as_json: AsJson = False) -> None:
    """List the rules in force, with their modes and versions."""
    rule_set = in_force()
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
        rule = rule_edits.rule_of(in_force(), name)
    except rule_edits.NoSuchRule as error:
        raise missing(str(error)) from error
    if as_json:
        show_json(asdict(rule))
    else:
        typer.echo(write_rule_set(RuleSet(rules=(rule,))))


@rules.command("check")
def check_rules(file: RuleFile) -> None:
    """Check a file of rules: names, types, lists, and the examples of every rule."""
    rule_set = read_file(file)
    typer.echo(f"{file.name} can be used: {len(rule_set.rules)} rules, {len(rule_set.lists)} lists. All examples hold.")


@rules.command("export")
def export_rules() -> None:
    """Print the rule set in force as YAML."""
    typer.echo(write_rule_set(in_force()), nl=False)


@rules.command("import")
def import_rules(file: RuleFile, person: Person, comment: Comment = "") -> None:
    """Put a file of rules in force, after checking it. Rules that changed get the next version."""
    wanted = read_file(file)
    change(lambda before: rule_edits.replaced(before, wanted), person, comment or f"import of {file.name}")


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
    before = in_force()
    _set_mode(name, Mode.DRAFT, person, comment or f"{name} stopped")
    offer_release(before.rules, name)


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


def _set_mode(name: str, mode: Mode, person: str, comment: str) -> None:
    change(lambda before: rule_edits.with_mode(before, name, mode, person=person), person, comment)
