"""`postroom audit`: search the audit, verify its chain, and erase personal details."""

from dataclasses import asdict
from typing import Annotated

import typer

from delivery.records.database import transaction
from delivery.records.vetting import audit as records
from delivery.records.vetting.audit import AuditFilter, AuditView
from delivery.rules.audit_chain import AuditEntry, AuditKind
from worker.cli.console import AsJson, check_encoding, opened, operator, printable, settings, show_json

audit = typer.Typer(help="Search and verify the audit.", no_args_is_help=True)

_WRONG = 1


@audit.command("show")
def show_entries(
    *,
    about: Annotated[
        str | None, typer.Option(help="Only entries about this id, of a case or message.", callback=check_encoding)
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Only entries by this actor.", callback=check_encoding)] = None,
    kind: Annotated[AuditKind | None, typer.Option(help="Only entries of this kind.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Maximum number to list.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List audit entries, newest first: decisions, claims, notes, and bodies that were read."""
    with opened(settings()) as database, transaction(database) as db:
        found = records.search(db, AuditFilter(about, actor, kind), limit)
    if as_json:
        show_json({"entries": [asdict(each) for each in found]})
    else:
        typer.echo("\n".join(map(_describe, found)) or "There is no such entry.")


@audit.command("verify")
def verify_chain(*, as_json: AsJson = False) -> None:
    """Verify that no entry was changed or removed. Exit with 1 when one was."""
    config = settings()
    with opened(config) as database, transaction(database) as db:
        verdict = records.verify(db, config.audit_key)
    if as_json:
        show_json({"head": verdict.head.seq, "chain": verdict.head.chain.hex(), "wrong": verdict.wrong_seq})
    elif verdict.wrong_seq is None:
        head = verdict.head
        typer.echo(f"postroom: all {verdict.verified} entries are right; head {head.seq} {head.chain.hex()}")
        typer.echo("Compare the head with the last line `audit_head` of the logs: entries after it may be missing.")
    else:
        typer.echo(f"postroom: entry {verdict.wrong_seq} is missing, was changed, or has another key.", err=True)
    if verdict.wrong_seq is not None:
        raise typer.Exit(_WRONG)


@audit.command("erase")
def erase_details(
    about: Annotated[str, typer.Argument(help="Id of an actor, or of a case or message.", callback=check_encoding)],
) -> None:
    """Erase names, notes and other personal details of all entries by or about this id. The chain stays whole."""
    config = settings()
    with opened(config) as database, transaction(database) as db:
        erased = records.erase(db, about)
        entry = AuditEntry(AuditKind.DETAILS_ERASED, operator(), facts={"entries": len(erased)})
        records.append(db, config.audit_key, entry)
    typer.echo(f"postroom: the details of {len(erased)} entries are erased")


def _describe(entry: AuditView) -> str:
    words = [f"{name} {value}" for name, value in {**entry.facts, **(entry.details or {})}.items() if value is not None]
    head = f"{entry.seq}  {entry.at:%Y-%m-%d %H:%M:%S} UTC  {entry.kind}  by {entry.actor_id}"
    about = f"\n    about {', '.join(entry.subjects)}" if entry.subjects else ""
    return printable(head + about + (f"\n    {', '.join(words)}" if words else ""))
