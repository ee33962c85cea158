"""`postroom vetting groups|bulk|undo-batch`: decide many open cases alike, after a preview, and undo that as one."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from delivery.explain import count
from delivery.records.database import Database, transaction
from delivery.records.pipeline import vetting_cases
from delivery.records.vetting import groups
from delivery.records.vetting.groups import BulkPreview, CaseSelection
from delivery.rules.case_decisions import CaseDecision, CaseVerdict, InvalidDecision
from tasks.context import StepContext
from tasks.steps.review import decide_batch
from tasks.steps.undo import undo_batch
from worker.cli.console import AsJson, check_encoding, missing, opened, printable, read_id, settings, show_json
from worker.cli.vetting import Name, Note, Pause, Reason, Sentence, actor_of, run_steps


def add_batches(vetting: typer.Typer) -> None:
    """Add these commands to `postroom vetting`."""
    vetting.command("groups")(list_groups)
    vetting.command("bulk")(decide_many)
    vetting.command("undo-batch")(undo_many)


def list_groups(
    *, limit: Annotated[int, typer.Option(min=1, help="Maximum number to list.")] = 50, as_json: AsJson = False
) -> None:
    """List the groups of open cases with nearly the same text, the largest first."""
    with opened(settings()) as database, transaction(database) as db:
        found = groups.text_groups(db, limit)
    if as_json:
        show_json({"groups": [asdict(each) for each in found]})
    else:
        lines = [f"{each.cases} cases, the oldest is {each.oldest_id}" for each in found]
        typer.echo("\n".join(lines) or "No two open cases have nearly the same text.")


def decide_many(  # noqa: PLR0913 - its options
    verdict: Annotated[str, typer.Argument(help="approve or reject.")],
    actor: Name,
    *,
    same_text: Annotated[str | None, typer.Option(help="Cases with nearly the text of this case.")] = None,
    rule: Annotated[str | None, typer.Option(help="Cases that only this rule held; give its version too.")] = None,
    version: Annotated[int | None, typer.Option(help="The version of the rule.")] = None,
    sender: Annotated[str | None, typer.Option(help="Cases of this sender's address.", callback=check_encoding)] = None,
    typed: Annotated[int | None, typer.Option(help="The number of cases in the preview: decide them all.")] = None,
    pause: Pause = 0,
    reason: Reason = None,
    sentence: Sentence = None,
    note: Note = None,
) -> None:
    """Show how many open cases a choice is about, with ten samples; with --typed, decide them all alike."""
    if verdict not in {CaseVerdict.APPROVE, CaseVerdict.REJECT} or (rule is None) != (version is None):
        raise typer.BadParameter("Decide to approve or to reject, and give a rule together with its version.")
    if not (same_text or rule or sender):
        raise typer.BadParameter("Choose cases by --same-text, --rule with --version, or --sender.")
    with opened(settings()) as database:
        fingerprint = _fingerprint(database, same_text) if same_text else None
        with transaction(database) as db:
            found = groups.preview(db, CaseSelection(fingerprint, rule, version, None, sender))
    typer.echo(_describe(found))
    if typed is not None:
        pause_time, verdict_word = timedelta(seconds=pause), CaseVerdict(verdict)
        run_steps(
            lambda context: _decide(
                context,
                found,
                CaseDecision(
                    verdict_word, actor_of(actor), pause=pause_time, reason=reason, sentence=sentence, note=note
                ),
                typed,
            )
        )


def _decide(context: StepContext, found: BulkPreview, decision: CaseDecision, typed: int) -> None:
    if typed != len(found.cases):
        raise InvalidDecision(f"{typed} is not the number of cases, {len(found.cases)}. Nothing was decided.")
    chosen = [(each.case_id, each.version) for each in found.cases]
    decided = decide_batch(context, chosen, decision, typed_count=typed)
    left_out = f"; {count(len(decided.refused), 'case')} changed meanwhile" if decided.refused else ""
    typer.echo(f"postroom: batch {decided.batch_id}: {count(decided.decided, 'case')} decided{left_out}")


def undo_many(batch: Annotated[str, typer.Argument(help="Id of a batch, as `bulk` prints it.")], actor: Name) -> None:
    """Undo all decisions of a batch whose pause is not over."""
    batch_id = read_id(batch, "batch")
    result: list[tuple[int, int]] = []
    run_steps(lambda context: result.append(undo_batch(context, batch_id, actor_of(actor))))
    typer.echo(f"postroom: {result[0][0]} undone, {result[0][1]} too late")


def _fingerprint(database: Database, case: str) -> int | None:
    case_id = read_id(case, "vetting case")
    with transaction(database) as db:
        found = vetting_cases.find(db, case_id)
    if found is None or found.text_fingerprint is None:
        raise missing(f"there is no vetting case {case_id} with a fingerprint of its text.")
    return found.text_fingerprint


def _describe(found: BulkPreview) -> str:
    numbers = (count(len(found.cases), "case"), count(found.recipients, "recipient"), count(found.senders, "sender"))
    samples = [f"    {each.case_id}  {each.sender_name}: {each.subject}" for each in found.samples]
    return "\n".join([", ".join(numbers), *map(printable, samples)])
