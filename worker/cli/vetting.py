"""`postroom vetting`: review held messages on the command line."""

import getpass
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import typer

from delivery.explain import ago, count, span
from delivery.records.database import transaction
from delivery.records.pipeline import vetting_cases
from delivery.records.pipeline.vetting_cases import CaseView
from delivery.records.vetting import decisions, standing
from delivery.records.vetting.decisions import DecisionView
from delivery.rules.case_decisions import (
    Actor,
    ActorKind,
    CaseDecision,
    CaseVerdict,
    DecisionRefused,
    InvalidDecision,
    StandingDecision,
)
from tasks.broker.doorbell import BrokerDoorbell, SilentDoorbell
from tasks.context import StepContext
from tasks.steps.review import decide_case
from tasks.steps.standing_decisions import make_standing, revoke_standing
from tasks.steps.undo import undo_decision
from worker.cli.console import (
    AsJson,
    check_encoding,
    missing,
    opened,
    operator,
    printable,
    read_id,
    settings,
    show_json,
)

vetting = typer.Typer(help="Review held messages.", no_args_is_help=True)

CaseId = Annotated[str, typer.Argument(help="Id of a vetting case, in the API message_vetting_id.")]
Note = Annotated[str | None, typer.Option(help="Note to store with the decision.", callback=check_encoding)]
Only = Annotated[
    list[str] | None,
    typer.Option(help="Decide for this recipient (an account id) and no other. Repeat it for several."),
]
Pause = Annotated[
    int, typer.Option(min=0, max=300, help="Seconds until the decision takes effect. It can be undone until then.")
]
Reason = Annotated[str | None, typer.Option(help="Reason for staff, one of the setting `reject_reasons`.")]
Sentence = Annotated[
    str | None, typer.Option(help="Sentence for the sender, shown in status_message.", callback=check_encoding)
]
Name = Annotated[
    str,
    typer.Option(
        "--as",
        help="Name of the person who decides. It is recorded as claimed, beside your user and host.",
        callback=check_encoding,
        default_factory=getpass.getuser,
        show_default="your user name",
    ),
]


@vetting.command("list")
def list_cases(
    *, limit: Annotated[int, typer.Option(min=1, help="Maximum number to list.")] = 200, as_json: AsJson = False
) -> None:
    """List the cases that wait for staff, oldest first."""
    with opened(settings()) as database, transaction(database) as db:
        found = vetting_cases.open_cases(db, limit)
    if as_json:
        show_json({"cases": [asdict(each) for each in found]})
    elif not found:
        typer.echo("No case waits for review.")
    else:
        now = datetime.now(UTC)
        typer.echo("\n\n".join(_summary(each, now) for each in found))
        typer.echo("\nNext: postroom vetting show CASE, then approve or reject.")


@vetting.command("show")
def show_case(case: CaseId, *, as_json: AsJson = False) -> None:
    """Show one case with its message."""
    case_id = read_id(case, "vetting case")
    with opened(settings()) as database, transaction(database) as db:
        found = vetting_cases.find(db, case_id)
        made = decisions.of_case(db, case_id)
    if found is None:
        raise missing(f"there is no vetting case {case_id}. `postroom vetting list` shows the open ones.")
    if as_json:
        show_json({**asdict(found), "decisions": [asdict(each) for each in made]})
    else:
        typer.echo("\n".join([_describe(found), *(["", "Decisions:"] if made else []), *map(_line_of, made)]))


@vetting.command("approve")
def approve(case: CaseId, actor: Name, note: Note = None, only: Only = None, pause: Pause = 0) -> None:
    """Let a held message go to those recipients whose preferences still allow it."""
    _decide(case, {"verdict": CaseVerdict.APPROVE, "name": actor, "note": note, "only": only, "pause": pause})


@vetting.command("reject")
def reject(  # noqa: PLR0913 - its options
    case: CaseId,
    actor: Name,
    *,
    note: Note = None,
    only: Only = None,
    pause: Pause = 0,
    reason: Reason = None,
    sentence: Sentence = None,
) -> None:
    """Refuse a held message for all its recipients, or for some of them."""
    words = {"note": note, "only": only, "pause": pause, "reason": reason, "sentence": sentence}
    _decide(case, {"verdict": CaseVerdict.REJECT, "name": actor, **words})


@vetting.command("undo")
def undo(case: CaseId, actor: Name) -> None:
    """Undo the decision about a case whose pause is not over. The case is open again."""
    case_id = read_id(case, "vetting case")
    run_steps(lambda context: undo_decision(context, case_id, actor_of(actor)))
    typer.echo(f"postroom: the decision about case {case_id} is undone")


@vetting.command("stand")
def stand(  # noqa: PLR0913 - its options
    case: CaseId,
    verdict: Annotated[str, typer.Argument(help="approve or reject.")],
    actor: Name,
    *,
    days: Annotated[float, typer.Option(min=0.001, max=90, help="Days until it ends.")] = 7,
    reason: Reason = None,
    sentence: Sentence = None,
) -> None:
    """Let the text of a case from its sender pass, or refuse it, without staff for some days. The case stays open."""
    if verdict not in {CaseVerdict.APPROVE, CaseVerdict.REJECT}:
        raise typer.BadParameter("Let it `approve` or `reject`.")
    case_id, word, lasts = read_id(case, "vetting case"), CaseVerdict(verdict), timedelta(days=days)
    made: list[UUID] = []
    run_steps(
        lambda context: made.append(
            make_standing(context, StandingDecision(case_id, word, actor_of(actor), lasts, reason, sentence))
        )
    )
    typer.echo(f"postroom: standing decision {made[0]} is in force for {days:g} days")


@vetting.command("standing")
def list_standing(*, as_json: AsJson = False) -> None:
    """List the standing decisions in force, newest first."""
    with opened(settings()) as database, transaction(database) as db:
        found = standing.standing_decisions(db)
    if as_json:
        show_json({"standing": [asdict(each) for each in found]})
    else:
        lines = [
            f"{each.standing_id}  {each.verdict} until {_clock(each.ends_at)} by {each.actor_name}, used {each.uses} x"
            for each in found
        ]
        typer.echo("\n".join(map(printable, lines)) or "No standing decision is in force.")


@vetting.command("revoke")
def revoke(standing_id: Annotated[str, typer.Argument(help="Id of a standing decision.")], actor: Name) -> None:
    """Revoke a standing decision. What it has decided stays."""
    known = read_id(standing_id, "standing decision")
    run_steps(lambda context: revoke_standing(context, known, actor_of(actor)))
    typer.echo(f"postroom: standing decision {known} is revoked")


def _decide(case: str, chosen: dict[str, Any]) -> None:
    case_id = read_id(case, "vetting case")
    only = chosen.pop("only")
    try:
        decision = CaseDecision(
            actor=actor_of(chosen.pop("name")),
            pause=timedelta(seconds=chosen.pop("pause")),
            only=tuple(read_id(each, "recipient") for each in only) if only else None,
            **chosen,
        )
    except InvalidDecision as error:
        raise typer.BadParameter(str(error)) from error
    run_steps(lambda context: decide_case(context, case_id, decision))
    when = f"takes effect in {decision.pause.seconds} s" if decision.pause else "has taken effect"
    typer.echo(f"postroom: case {case_id}: the decision to {decision.verdict} {when}")


def actor_of(name: str) -> Actor:
    """Return the operator who runs this command, under this name."""
    return Actor(ActorKind.OPERATOR, operator(), name)


def run_steps(work: Callable[[StepContext], object]) -> None:
    """Run a decision or an undo. When it is refused, print why and exit with code 1."""
    config = settings()
    doorbell = BrokerDoorbell(config) if config.bell else SilentDoorbell()
    with opened(config) as database:
        try:
            work(StepContext(config, database, doorbell))
        except DecisionRefused as error:
            raise missing(str(error)) from error
        finally:
            doorbell.close()


def _found(case: CaseView) -> str:
    return ", ".join(f'"{finding.phrase}" in {finding.field}' for finding in case.findings) or "-"


def _summary(case: CaseView, now: datetime) -> str:
    clock = f"opened {ago(case.opened_at, now)}, expires in {span(case.expires_at - now)}"
    lines = (f"{case.sender_name}: {case.subject}", f"found {_found(case)}")
    return f"{case.case_id}  {clock}\n" + "\n".join(f"    {printable(line)}" for line in lines)


def _describe(case: CaseView) -> str:
    decided = (
        f"{case.decided_at:%Y-%m-%d %H:%M:%S} UTC by {case.decided_by} (as claimed)" if case.decided_at else "not yet"
    )
    facts = {
        "Case": case.case_id,
        "State": case.state,
        "Found": _found(case),
        "Opened": f"{case.opened_at:%Y-%m-%d %H:%M:%S} UTC",
        "Expires": f"{case.expires_at:%Y-%m-%d %H:%M:%S} UTC",
        "Decided": decided,
        "Note": case.note or "-",
        "Message": f"{case.message_id} ({case.type}, {case.recipient_count} recipients)",
        "From": f"{case.sender_name} <{case.sender_email or 'no address'}>",
        "Subject": case.subject,
    }
    width = max(map(len, facts))
    head = "\n".join(f"{name:<{width}}  {printable(str(value))}" for name, value in facts.items())
    return f"{head}\n\n{printable(case.body)}"


def _line_of(decision: DecisionView) -> str:
    """Return a line about a decision: what, for whom, by whom, when, and what became of it."""
    whom = "all held recipients" if decision.only is None else count(len(decision.only), "recipient")
    words = [f"reason: {decision.reason}"] if decision.reason else []
    words += [f'to the sender: "{decision.sentence}"'] if decision.sentence else []
    line = f"{decision.verdict} for {whom} by {decision.actor_name}, {_clock(decision.decided_at)}"
    return printable("    " + "; ".join([line, *words, _end_of(decision)]))


def _end_of(decision: DecisionView) -> str:
    if decision.undone_at is not None:
        return f"undone by {decision.undone_by}, {_clock(decision.undone_at)}"
    if decision.applied_at is None:
        return f"can be undone until {_clock(decision.effective_at)}"
    return "in effect"


def _clock(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
