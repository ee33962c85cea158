"""`postroom rules note` and `release`: end the holding of a rule, and let go what only one version of it holds."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from delivery.explain import count
from delivery.records.database import Database, transaction
from delivery.records.rule_sets.held_alone import HeldByRule, held_by_only
from delivery.rules import rule_edits
from delivery.rules.case_decisions import Actor, ActorKind, CaseDecision, CaseVerdict
from delivery.rules.rule_set import Action, Rule
from tasks.broker.doorbell import BrokerDoorbell, SilentDoorbell
from tasks.context import StepContext
from tasks.steps.review import decide_batch
from worker.cli.console import missing, opened, operator, printable, settings
from worker.cli.rule_sets import Comment, Person, change, duration, in_force

_SAMPLES = 10


def add_releases(rules: typer.Typer) -> None:
    """Add the commands of this module to `postroom rules`."""
    rules.command("note")(only_note)
    rules.command("release")(release)


def only_note(
    name: Annotated[str, typer.Argument(help="Name of a rule.")], person: Person, comment: Comment = ""
) -> None:
    """Let a rule only note its hits: it stays live and holds nothing more."""
    before = in_force()
    change(lambda found: rule_edits.with_action(found, name, Action.NOTE), person, comment or f"{name} only notes")
    offer_release(before.rules, name)


def offer_release(rules: Sequence[Rule], name: str) -> None:
    """Print how to release what the rule held, if messages wait because of it alone."""
    version = next(rule.version for rule in rules if rule.name == name)
    with opened(settings()) as database:
        held = _held(database, name, version)
    if held:
        typer.echo(
            f"{count(len(held), 'message')} wait for staff because of it alone. "
            f"To release them: postroom rules release {name}@{version}"
        )


def release(
    rule: Annotated[str, typer.Argument(help="Rule and version, such as money-order@3.")],
    person: Person,
    last: Annotated[str | None, typer.Option(help="Only what it held within this time, such as 2h or 1d.")] = None,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Release without asking.")] = False,
) -> None:
    """Release the messages that only this version of a rule holds, after a preview."""
    name, version = _read_rule(rule)
    since = datetime.now(UTC) - duration(last) if last else None
    config = settings()
    with opened(config) as database:
        held = _held(database, name, version, since)
        typer.echo(_preview(rule, held))
        if not held:
            return
        if not yes:
            typer.confirm("Release them?", abort=True)
        doorbell = BrokerDoorbell(config) if config.bell else SilentDoorbell()
        try:
            result = decide_batch(
                StepContext(config, database, doorbell),
                [(each.case_id, each.case_version) for each in held],
                CaseDecision(CaseVerdict.APPROVE, Actor(ActorKind.OPERATOR, operator(), person), released_with=rule),
                typed_count=len(held),
            )
        finally:
            doorbell.close()
    typer.echo(f"postroom: released {count(result.decided, 'message')}")


def _held(database: Database, name: str, version: int, since: datetime | None = None) -> list[HeldByRule]:
    with transaction(database) as db:
        return held_by_only(db, name, version, since)


def _preview(rule: str, held: Sequence[HeldByRule]) -> str:
    lines = [f"{count(len(held), 'message')} wait for staff because of {rule} alone."]
    step = max(1, len(held) // _SAMPLES)
    for each in held[::step][:_SAMPLES]:
        words = printable(f"{each.sender_name}: {each.subject}")
        lines.append(f"  {each.message_id}  {each.created_at:%Y-%m-%d %H:%M}  {words}")
    return "\n".join(lines)


def _read_rule(text: str) -> tuple[str, int]:
    name, at, version = text.partition("@")
    if not at or not version.isascii() or not version.isdigit():
        raise missing(f"{text!r} names no version of a rule. Write RULE@VERSION, such as money-order@3.")
    return name, int(version)
