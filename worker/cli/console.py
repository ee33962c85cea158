"""Read settings and ids, open the database for one command, and print for people or programs."""

import io
import json
import os
import pwd
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated
from uuid import UUID

import typer
from rich import box
from rich.console import Console
from rich.table import Column, Table

from delivery.crash_points import arm
from delivery.intake.uuids import read_uuid
from delivery.records.database import DATABASE_UNAVAILABLE, Database, open_database
from delivery.records.outages import explain_outage
from delivery.settings import DEMO_ENVIRONMENT_FILE, Settings, settings_from_environment
from worker.cli.outage_sentences import outage_sentence

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

_NOT_FOUND = 1
_UNAVAILABLE = 3


def accept_any_locale() -> None:
    """Replace what standard output cannot encode: a name that a client sent must not end a command.

    Standard error does so by itself.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def settings() -> Settings:
    """Read the settings from the environment, and beside a `var/` of `make up` also from the file in it."""
    config = settings_from_environment(DEMO_ENVIRONMENT_FILE)
    arm(config.crash_at)
    return config


@contextmanager
def opened(config: Settings) -> Iterator[Database]:
    """Open the database for one command. When it cannot be used, print why and exit with code 3."""
    database = open_database(config, connections=1)
    try:
        yield database
    except DATABASE_UNAVAILABLE as error:
        typer.echo(f"postroom: {outage_sentence(explain_outage(error))}", err=True)
        raise typer.Exit(_UNAVAILABLE) from error
    finally:
        database.dispose()


def operator() -> str:
    """Return who runs this command: the user that the operating system knows, and the host. No variable decides it."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return f"operator {name}@{socket.gethostname()}"


def read_id(text: str, what: str) -> UUID:
    """Read an id that an operator typed. Raises `typer.BadParameter`."""
    found = read_uuid(text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is not the id of a {what}. An id looks like 0199a1b2-0000-7000-8000-...")
    return found


def check_encoding(text: str | None) -> str | None:
    """Return a text that an operator typed, as a callback of typer. Raises `typer.BadParameter` when it is none."""
    try:
        (text or "").encode()
    except UnicodeEncodeError:
        raise typer.BadParameter("This has bytes that are no text in the encoding of this terminal.") from None
    return text


def missing(sentence: str) -> typer.Exit:
    """Print an error on standard error, and return the exit with code 1 to raise."""
    typer.echo(f"postroom: {sentence}", err=True)
    return typer.Exit(_NOT_FOUND)


def printable(text: str) -> str:
    """Replace control characters: a text that a client sent must not control the operator's terminal."""
    lines = text.replace("\r\n", "\n")
    return "".join(char if char.isprintable() or char in "\t\n" else "\N{REPLACEMENT CHARACTER}" for char in lines)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that fits the terminal. The first column is never broken; what the others have no room for is."""
    first = Column(columns[0], no_wrap=True, overflow="ignore")
    others = (Column(each, overflow="fold") for each in columns[1:])
    table = Table(first, *others, title=title, title_justify="left", box=box.SIMPLE)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


def show_json(fields: Mapping[str, object]) -> None:
    """Print one JSON object; instants in RFC 3339, ids and words as text."""
    typer.echo(json.dumps(fields, default=_plain, indent=2))


def _plain(value: object) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
