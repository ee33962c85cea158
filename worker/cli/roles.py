"""Create a login for each kind of process: `postroom database-roles` and `postroom broker-users`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from delivery.records.rights import DatabaseRole
from delivery.records.roles import prepare_roles
from tasks.broker.access import BrokerUser, access_list
from tasks.start_checks import check_start
from worker.cli import console

Passwords = Annotated[
    Path, typer.Option(help="Folder with a file for each password, such as `database-api` and `broker-worker`.")
]
_SECRETS = Path("/run/secrets")
_LEAST_CHARACTERS = 32  # The broker stores a plain digest of it, which a guess of a short one could meet.


def database_roles(passwords: Passwords = _SECRETS) -> None:
    """Create the roles of the API, the workers, commands and migrations in PostgreSQL, and set their passwords.

    DATABASE_URL must be that of a superuser. Safe to repeat, also while the system runs and on tables of a version
    that had one role.
    """
    settings = console.settings()
    check_start(settings)
    names = {role: role.value.replace("postroom_", "database-") for role in DatabaseRole}
    found = _read(passwords, names.values())
    with console.opened(settings) as database:
        prepare_roles(database, {role: found[name] for role, name in names.items()})
    typer.echo("postroom: the database has all roles, each with its password")


def broker_users(
    file: Annotated[Path, typer.Argument(help="The file to write, which the broker reads as its `aclfile`.")],
    passwords: Passwords = _SECRETS,
) -> None:
    """Write the broker's users with their commands and keys, and a digest of each password. Safe to repeat."""
    names = {user: f"broker-{user}" for user in BrokerUser}
    found = _read(passwords, names.values())
    new = file.with_suffix(".new")
    new.write_text(access_list({user: found[name] for user, name in names.items()}), encoding="ascii")
    new.chmod(0o644)  # The broker runs as another user than this command.
    new.replace(file)
    typer.echo(f"postroom: {file} has all users of the broker")


def _read(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the passwords by the name of their file. Ends the command with a line for each that cannot be used."""
    found, wrong = {}, []
    for name in names:
        try:
            found[name] = (folder / name).read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not ASCII"
            wrong.append(f"{folder / name} cannot be read ({reason})")
        else:
            if len(found[name]) < _LEAST_CHARACTERS:
                wrong.append(f"{folder / name} has fewer than {_LEAST_CHARACTERS} characters")
    if wrong:
        raise console.missing("; ".join(wrong))
    return found
