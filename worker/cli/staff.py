"""`postroom staff`: add the people who use the desk, list them, and end what they may."""

from typing import Annotated
from uuid import UUID

import typer

from delivery.logs.security import write_line
from delivery.records.database import Transaction, transaction
from delivery.records.identities import staff as records
from delivery.records.identities.staff import NewStaff, StaffMember
from delivery.records.vetting import audit
from delivery.rules.audit_chain import AuditEntry, AuditKind
from delivery.sealing import seal
from delivery.settings import Settings
from delivery.staff_secrets import (
    digest_password,
    generate_password,
    generate_totp_secret,
    totp_address,
    totp_name,
)
from delivery.vocabulary import StaffRole
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
    show_table,
)

staff = typer.Typer(help="Add and end the logins of staff at the desk.", no_args_is_help=True)

StaffName = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of a person at the desk.", callback=check_encoding)
]
NAME_LIMIT = 80
"""Characters of a name."""


@staff.command("add")
def add(
    name: StaffName,
    role: Annotated[StaffRole, typer.Option(help="What the person may do.")] = StaffRole.VETTER,
    email: Annotated[
        str | None, typer.Option(help="Address on the platform: the person decides nothing of it.")
    ] = None,
    account: Annotated[str | None, typer.Option(help="Account on the platform, for the same reason.")] = None,
) -> None:
    """Add a person, and print a password. It is shown only now."""
    name = name.strip()
    if not name or len(name) > NAME_LIMIT or not name.isprintable():
        raise typer.BadParameter(f"A name has 1 to {NAME_LIMIT} visible characters.")
    password = generate_password()
    account_id = None if account is None else read_id(account, "account")
    new = NewStaff(name, role, digest_password(password), email, account_id)
    config = settings()
    with opened(config) as database, transaction(database) as db:
        added = records.add(db, new)
        if added is None:
            raise missing("another person has this name. `postroom staff list` shows them.")
        _note(db, config, "staff_added", added)
    typer.echo(f"postroom: {printable(name)} may use the desk as {role}\nPassword: {password}")


@staff.command("list")
def list_staff(*, as_json: AsJson = False) -> None:
    """List the people who may use the desk."""
    with opened(settings()) as database, transaction(database) as db:
        found = records.everyone(db)
    if as_json:
        show_json({"staff": [_facts(each) for each in found]})
        return
    rows = [
        (
            printable(each.name),
            str(each.role),
            "yes" if each.totp_sealed else "no",
            "disabled" if each.disabled_at else "active",
            printable(each.email or "-"),
        )
        for each in found
    ]
    show_table("Staff", ("Name", "Role", "One-time codes", "State", "E-mail"), rows)


@staff.command("disable")
def disable(name: StaffName) -> None:
    """End all logins of a person, and refuse new ones. What the person decided stays."""
    config = settings()
    with opened(config) as database, transaction(database) as db:
        member = _find(db, name)
        records.set_disabled(db, member.staff_id, is_disabled=True)
        _note(db, config, "staff_disabled", member.staff_id)
    typer.echo(f"postroom: {printable(member.name)} is disabled. `postroom staff reset` enables the login again.")


@staff.command("reset")
def reset(
    name: StaffName,
    *,
    role: Annotated[StaffRole | None, typer.Option(help="Give the person this role as well.")] = None,
    with_codes: Annotated[bool, typer.Option("--codes", help="Ask for one-time codes from now on.")] = False,
) -> None:
    """Print a new password, end all logins, and enable a person who was disabled. Old one-time codes end."""
    config = settings()
    if with_codes and config.sealing_key is None:
        raise missing("one-time codes need the setting POSTROOM_SEALING_KEY.")
    password, secret = generate_password(), generate_totp_secret() if with_codes else None
    with opened(config) as database, transaction(database) as db:
        member = _find(db, name)
        records.set_password(db, member.staff_id, digest_password(password))
        records.set_disabled(db, member.staff_id, is_disabled=False)
        sealed = seal(secret, totp_name(member.staff_id), config.sealing_key) if secret and config.sealing_key else None
        records.set_totp(db, member.staff_id, sealed)
        if role is not None:
            records.set_role(db, member.staff_id, role)
        _note(db, config, "staff_reset", member.staff_id)
    typer.echo(
        f"postroom: {printable(member.name)} has a new password, and all logins have ended\nPassword: {password}"
    )
    if secret:
        typer.echo(f"Authenticator: {totp_address(secret, member.name)}")


def _find(db: Transaction, name: str) -> StaffMember:
    member = records.by_name(db, name.strip())
    if member is None:
        raise missing("there is no person with this name. `postroom staff list` shows them.")
    return member


def _facts(member: StaffMember) -> dict[str, object]:
    return {
        "id": member.staff_id,
        "name": member.name,
        "role": member.role,
        "email": member.email,
        "account_id": member.account_id,
        "has_codes": member.totp_sealed is not None,
        "created_at": member.created_at,
        "disabled_at": member.disabled_at,
    }


def _note(db: Transaction, config: Settings, event: str, staff_id: UUID) -> None:
    """Record a change, in its transaction, and in the security log."""
    entry = AuditEntry(AuditKind.STAFF_CHANGED, operator(), (str(staff_id),), {"change": event})
    audit.append(db, config.audit_key, entry)
    write_line(event, staff_id=str(staff_id), actor=operator())
