"""Define the command `postroom`. Each command opens what it needs and closes it again.

A worker is one of these commands, and many workers run. So what only other commands need is imported when they run:
each worker takes 10 MiB less.
"""

import asyncio
import os
import socket
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from delivery.logs import configure_logs
from delivery.logs.interpreter import log_missing_fixes
from tasks.lanes import LaneName
from tasks.start_checks import check_start
from worker.cli import console, vetting_batches
from worker.cli.accounts import accounts
from worker.cli.audit import audit
from worker.cli.clients import clients
from worker.cli.doctor import doctor
from worker.cli.inspection import alive, release_message, why
from worker.cli.queues import queues
from worker.cli.refused import refused
from worker.cli.roles import broker_users, database_roles
from worker.cli.rule_releases import add_releases
from worker.cli.rule_trials import add_trials
from worker.cli.rules import rules
from worker.cli.security import security_log
from worker.cli.staff import staff
from worker.cli.vetting import vetting
from worker.cli.word_lists import lists, policy
from worker.runtime.process import run_worker


class _AnyLocale(TyperGroup):
    """The commands, of which none fails on a character that the terminal cannot show, not even a usage error."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Prepare standard output, and run a command."""
        console.accept_any_locale()
        return super().main(*args, **kwargs)


app = typer.Typer(
    name="postroom",
    cls=_AnyLocale,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
vetting_batches.add_batches(vetting)
app.add_typer(vetting, name="vetting")
app.add_typer(audit, name="audit")
add_trials(rules)
add_releases(rules)
app.add_typer(rules, name="rules")
app.add_typer(lists, name="lists")
app.add_typer(policy, name="policy")
app.add_typer(clients, name="clients")
app.add_typer(accounts, name="accounts")
app.add_typer(staff, name="staff")
app.command("why")(why)
app.command("queues")(queues)
app.command("refused")(refused)
app.command("doctor")(doctor)
app.command("security-log")(security_log)
app.command("release")(release_message)
app.command("worker-alive")(alive)
app.command("database-roles")(database_roles)
app.command("broker-users")(broker_users)


def _print_version(is_given: bool) -> None:  # noqa: FBT001 - typer passes it by position
    if is_given:
        typer.echo(f"postroom {version('postroom')}")
        raise typer.Exit


@app.callback()
def begin(
    *,
    is_version_given: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Deliver messages between the members of a platform: run Postroom, inspect it and administer it."""
    del is_version_given  # The callback has handled it.
    configure_logs("WARNING")  # A person reads a command's output. The events of a step are for the log of a worker.


@app.command("up")
def run_everything(
    *,
    port: Annotated[int, typer.Option(help="Port of the API on 127.0.0.1.")] = 8080,
    data: Annotated[Path, typer.Option(help="Folder that keeps all data.")] = Path("var"),
    rehearsal: Annotated[bool, typer.Option(help="Fill the desk with 60 cases to practise on, once.")] = True,
) -> None:
    """Start an embedded system: PostgreSQL, Valkey, a mail sink, the API and the workers."""
    from worker.embedded import supervisor  # noqa: PLC0415 - a worker does not need it

    supervisor.run(data.resolve(), port, has_rehearsal=rehearsal)


@app.command("migrate")
def migrate_database() -> None:
    """Migrate the database to the schema of this version.

    Safe to repeat, also while the system runs.
    """
    from delivery.records.migrate import NewerSchema, migrate  # noqa: PLC0415 - a worker does not need Alembic

    settings = console.settings()
    check_start(settings)
    with console.opened(settings) as database:
        try:
            migrate(database)
        except NewerSchema as error:
            raise console.missing(str(error)) from error
    typer.echo("postroom: the database has the schema of this version")


@app.command("worker")
def work(
    lane: Annotated[LaneName, typer.Argument(help="decide (direct sends, decisions, vetting) or smtp (mails).")],
) -> None:
    """Run a worker process for the queues of one lane, until SIGTERM."""
    settings = console.settings()
    configure_logs(settings.log_level)
    log_missing_fixes()
    run_worker(settings, lane)


@app.command("sink")
def run_mail_sink(  # noqa: PLR0913, PLR0917 - an option for each way to pass an address
    data: Annotated[Path, typer.Option(help="Folder that keeps the mails.")],
    smtp_host: Annotated[str, typer.Option(help="Address to accept mail on.")] = "127.0.0.1",
    smtp_port: Annotated[int, typer.Option(help="Port to accept mail on.")] = 1025,
    http_host: Annotated[str, typer.Option(help="Address to show mails on.")] = "127.0.0.1",
    http_port: Annotated[int, typer.Option(help="Port to show mails on.")] = 8025,
    smtp_fd: Annotated[
        int | None, typer.Option(help="File descriptor of a bound socket, instead of SMTP host and port.")
    ] = None,
    http_fd: Annotated[
        int | None, typer.Option(help="File descriptor of a bound socket, instead of HTTP host and port.")
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Host name to show mails under, besides 127.0.0.1 and localhost.")
    ] = None,
) -> None:
    """Run a mail server that keeps and shows every mail and delivers none, for demos and tests."""
    from worker.embedded.mail_sink import run_sink  # noqa: PLC0415 - a worker does not need two servers

    smtp = _socket(smtp_fd, smtp_host, smtp_port)
    http = _socket(http_fd, http_host, http_port)
    asyncio.run(run_sink(data, smtp, http, hosts=allow_host or []))


def _socket(descriptor: int | None, host: str, port: int) -> socket.socket:
    return socket.create_server((host, port)) if descriptor is None else socket.socket(fileno=os.dup(descriptor))
