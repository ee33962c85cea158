"""`postroom accounts`: import accounts from a file, and show one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from delivery.explain import count
from delivery.intake.account_files import Form, NotReadable, NumberedLines, RefusedRow, read_rows
from delivery.records.database import transaction
from delivery.records.identities import accounts as records
from delivery.records.identities.account_batches import ImportRules
from delivery.records.identities.accounts import AccountFacts
from delivery.records.identities.address_changes import Author
from delivery.vocabulary import SenderRule
from worker.cli.account_import import Report, import_all, import_each
from worker.cli.console import AsJson, missing, opened, operator, printable, read_id, settings, show_json

accounts = typer.Typer(help="Import and show accounts, which can receive messages.", no_args_is_help=True)

_FORMS = {".csv": Form.CSV, ".jsonl": Form.JSONL}
_REFUSED = 1
_NAME_SHOWN = 40


@accounts.command("import")
def import_file(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="Path of a .csv or .jsonl file.")
    ],
    *,
    per_row: Annotated[
        bool, typer.Option("--per-row", help="Store the valid rows even if others are refused.")
    ] = False,
    force_preferences: Annotated[
        bool, typer.Option("--force-preferences", help="Also replace what account holders have chosen themselves.")
    ] = False,
) -> None:
    """Create or change accounts from a file: all of them, or none when a row is refused.

    Columns or keys: uuid, name, email; optional: status, time_zone, channel, closed (true or false) and
    accepted_types (in CSV separated by |). What the file does not have or leaves empty stays as it is, and so do
    preferences that account holders have chosen themselves.
    """
    form = _FORMS.get(file.suffix.lower())
    if form is None:
        raise typer.BadParameter("The file's name must end in .csv or .jsonl, which tells its format.")
    report = Report()
    try:
        _import(file, form, report, import_each if per_row else import_all, is_forced=force_preferences)
    except NotReadable as error:
        _show(report)
        raise missing(f"{file} cannot be read: {error}") from error
    _show(report)
    if report.refused_count:
        raise typer.Exit(_REFUSED)


@accounts.command("show")
def show(account: Annotated[str, typer.Argument(help="Id of an account.")], *, as_json: AsJson = False) -> None:
    """Show an account and its preferences."""
    account_id = read_id(account, "account")
    with opened(settings()) as database, transaction(database) as db:
        facts = records.find_one(db, account_id)
    if facts is None:
        raise missing(f"there is no account {account_id}.")
    if as_json:
        show_json(_plain(facts))
    else:
        typer.echo(printable(_describe(facts)))


def _import(file: Path, form: Form, report: Report, store: Callable[..., None], *, is_forced: bool) -> None:
    config = settings()
    rules = ImportRules(Author(operator(), config.pepper), is_forced)
    with opened(config) as database, file.open("rb") as opened_file, _bar(file) as show_bytes:
        lines = NumberedLines(opened_file)
        store(database, read_rows(lines, form), report, lambda: show_bytes(lines.bytes_read), rules=rules)
    if lines.ignored:
        names = ", ".join(printable(name[:_NAME_SHOWN]) for name in lines.ignored)
        typer.echo(f"Nothing was read from columns or keys that an account does not have: {names}.", err=True)


@contextmanager
def _bar(file: Path) -> Iterator[Callable[[int], None]]:
    """Show how much of the file is read, if standard error is a terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(printable(file.name), total=file.stat().st_size)
        yield lambda bytes_read: progress.update(task, completed=bytes_read)


def _show(report: Report) -> None:
    for row in report.refused:
        for line in _lines(row):
            typer.echo(line, err=True)
    more = report.refused_count - len(report.refused)
    if more:
        typer.echo(f"... and {count(more, 'more row')} refused.", err=True)
    replaced = report.stored_count - report.new_count
    typer.echo(
        f"postroom: {count(report.stored_count, 'account')} stored ({report.new_count:,} new, {replaced:,} replaced), "
        f"{count(report.refused_count, 'row')} refused"
    )
    if report.kept_count:
        typer.echo(
            f"postroom: {count(report.kept_count, 'account')} kept what the holder has chosen against the file "
            "(channel, closed or accepted types). To replace that too: --force-preferences."
        )


def _lines(row: RefusedRow) -> Iterator[str]:
    for fault in row.faults:
        place = f"{fault.place}: " if fault.place else ""
        yield f"line {row.line}: {place}{fault.code}: {fault.message}"


def _plain(facts: AccountFacts) -> dict[str, object]:
    fields = asdict(facts)
    hours = facts.quiet_hours
    # The same names as in the API.
    del fields["sender_rule"], fields["senders"]
    return {
        "uuid": fields.pop("account_id"),
        "closed": fields.pop("is_closed"),
        **fields,
        "allowed_senders": facts.senders if facts.sender_rule is SenderRule.ALLOW else None,
        "blocked_senders": facts.senders if facts.sender_rule is SenderRule.BLOCK else None,
        "quiet_hours": {"from": f"{hours[0]:%H:%M}", "until": f"{hours[1]:%H:%M}"} if hours else None,
    }


def _describe(facts: AccountFacts) -> str:
    plain = _plain(facts)
    types = "all" if facts.accepted_types is None else ", ".join(facts.accepted_types) or "none"
    senders = f"{facts.sender_rule} {', '.join(facts.senders) or 'none'}" if facts.sender_rule else "all"
    hours = facts.quiet_hours
    shown = {
        "Account": plain["uuid"],
        "Name": facts.name,
        "E-mail": facts.email,
        "Status": facts.status,
        "Time zone": facts.time_zone,
        "Channel": facts.channel,
        "Closed to all": "yes" if facts.is_closed else "no",
        "Types": types,
        "Senders": senders,
        "Muted until": f"{facts.muted_until:%Y-%m-%d %H:%M:%S} UTC" if facts.muted_until else "-",
        "Quiet hours": f"{hours[0]:%H:%M} to {hours[1]:%H:%M}" if hours else "-",
    }
    return "\n".join(f"{name + ':':15}{value}" for name, value in shown.items())
