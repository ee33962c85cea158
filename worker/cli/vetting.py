"""`postroom vetting`: review held messages on the command line."""

import getpass
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from delivery.explain import ago, span
from delivery.records.database import transaction
from delivery.records.pipeline import vetting_cases
from delivery.records.pipeline.vetting_cases import CaseDecision, CaseView
from delivery.vocabulary import CaseState
from tasks.broker.doorbell import BrokerDoorbell, SilentDoorbell
from tasks.context import StepContext
from tasks.steps.review import CaseNotOpen, close_case
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
Actor = Annotated[
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
    *, limit: Annotated[int, typer.Option(min=1, help="Maximum number to list.")] = 50, as_json: AsJson = False
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
    if found is None:
        raise missing(f"there is no vetting case {case_id}. `postroom vetting list` shows the open ones.")
    if as_json:
        show_json(asdict(found))
    else:
        typer.echo(_describe(found))


@vetting.command("approve")
def approve(case: CaseId, actor: Actor, note: Note = None) -> None:
    """Let a held message go to those recipients whose preferences still allow it."""
    _close(case, CaseDecision(CaseState.APPROVED, actor, note, operator()))


@vetting.command("reject")
def reject(case: CaseId, actor: Actor, note: Note = None) -> None:
    """Refuse a held message for all its recipients."""
    _close(case, CaseDecision(CaseState.REJECTED, actor, note, operator()))


def _close(case: str, decision: CaseDecision) -> None:
    case_id = read_id(case, "vetting case")
    config = settings()
    doorbell = BrokerDoorbell(config) if config.bell else SilentDoorbell()
    with opened(config) as database:
        try:
            close_case(StepContext(config, database, doorbell), case_id, decision)
        except CaseNotOpen as error:
            raise missing(str(error)) from error
        finally:
            doorbell.close()
    typer.echo(f"postroom: case {case_id} is {decision.state}")


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
