"""`postroom rules evaluate` and `test`: measure rules on labelled scenes and on stored messages."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from delivery.rulebook.documents import write_rule_set
from delivery.rulebook.evaluation import answer, evaluate_scenes, for_scenes, report
from delivery.rulebook.scenes import InvalidScenes, Scene, read_scenes
from delivery.rulebook.shipped_set import shipped_rule_set
from delivery.rules import rule_edits
from delivery.rules.rule_engine import RuleEngine
from delivery.rules.rule_set import Mode, RuleSet
from worker.cli import back_test, back_test_report
from worker.cli.console import AsJson, missing, opened, settings, show_json
from worker.cli.rule_sets import REFUSED, duration, in_force, read_file


def add_trials(rules: typer.Typer) -> None:
    """Add the commands of this module to `postroom rules`."""
    rules.command("evaluate")(evaluate)
    rules.command("test")(try_rules)


def evaluate(
    file: Annotated[Path, typer.Argument(help="Labelled scenes, JSON lines.", exists=True, dir_okay=False)],
    chosen: Annotated[
        Path | None, typer.Option("--rules", help="Judge by this YAML file.", exists=True, dir_okay=False)
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Judge labelled scenes by the shipped rules and show how often rules and people agree."""
    rule_set = read_file(chosen) if chosen else shipped_rule_set()
    try:
        scenes: list[Scene] = list(read_scenes(file.read_bytes().splitlines(keepends=True)))
    except InvalidScenes as error:
        typer.echo(f"postroom: {file.name}, {error}", err=True)
        raise typer.Exit(REFUSED) from error
    digest = hashlib.sha256(write_rule_set(rule_set).encode()).hexdigest()[:12]
    given = answer(rule_set, digest, evaluate_scenes(RuleEngine(for_scenes(rule_set)), scenes))
    if as_json:
        show_json(given)
    else:
        typer.echo(report(given))


def try_rules(
    what: Annotated[str, typer.Argument(help="Name of a rule, or a YAML file of rules.")],
    last: Annotated[str, typer.Option(help="How far to go back, such as 30d or 12h.")] = "30d",
    state: Annotated[
        Path | None, typer.Option(help="Keep what was counted in this file; an interrupted run goes on from there.")
    ] = None,
    *,
    processes: Annotated[int, typer.Option(min=1, max=16, help="How many processes to use.")] = 2,
    as_json: AsJson = False,
) -> None:
    """Try a rule or a file of rules on stored messages, each as of its own time. Nothing is changed."""
    wanted = read_file(Path(what)) if Path(what).is_file() else _only(what)
    until = datetime.now(UTC)
    config = settings()
    with opened(config) as database:
        ids = back_test.find_messages(database, until - duration(last), until)
    try:
        counted = back_test.run(config, wanted, ids, state=state, processes=processes).as_json()
    except back_test.OtherBackTest as error:
        typer.echo(f"postroom: {error}", err=True)
        raise typer.Exit(REFUSED) from error
    if as_json:
        show_json(counted)
    else:
        typer.echo(back_test_report.describe(counted))


def _only(name: str) -> RuleSet:
    """Return the set in force with this rule alone."""
    rule_set = in_force()
    try:
        return replace(rule_set, rules=(replace(rule_edits.rule_of(rule_set, name), mode=Mode.LIVE),))
    except rule_edits.NoSuchRule as error:
        raise missing(f"{error} There is no file of this name either.") from error
