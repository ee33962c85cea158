"""Create the demo platform: one client, accounts of every kind, and `demo.json`, which lists them for programs."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from delivery.credentials import (
    NewCredential,
    generate_credential,
    generate_signing_key,
    is_match,
    parse_credential,
)
from delivery.records.database import Database, Transaction, transaction
from delivery.records.identities import accounts, clients, simulated_accounts, staff
from delivery.records.identities.accounts import AccountFacts
from delivery.records.identities.staff import NewStaff, StaffMember
from delivery.settings import Settings
from delivery.staff_secrets import digest_password, generate_password, is_password
from delivery.vocabulary import AccountStatus, Channel, CredentialKind, MessageType, Scope, StaffRole

# Ids made from names are the same on every machine, so documents can show them.
_NAMESPACE = UUID("0199a000-0000-7000-8000-000000000000")
CLIENT_ID = uuid5(_NAMESPACE, "client")
STAFF_NAME = "Vera"
"""The name of the demo's member of staff."""
_MAIL_DOMAIN = "members.postroom.localhost"
_SCOPES = tuple(scope for scope in Scope if scope not in {Scope.VETTING_DECIDE, Scope.VETTING_RULES, Scope.OPS_READ})
_CREDENTIALS = {
    "api_key": CredentialKind.API_KEY,
    "client_secret": CredentialKind.CLIENT_SECRET,
    "signing_key": CredentialKind.SIGNING_KEY,
}


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """An account of the demo platform, with a note on what it shows."""

    facts: AccountFacts
    note: str


def demo_accounts() -> list[DemoAccount]:
    """Return the accounts of the demo platform."""
    return list(_accounts())


def _accounts() -> Iterator[DemoAccount]:
    for number in range(1, 26):
        yield _account(f"inbox-{number:02}", "reached by the in-app inbox")
    for number in range(1, 26):
        yield _account(f"email-{number:02}", "reached by e-mail", channel=Channel.EMAIL)
    for number in range(1, 4):
        yield _account(f"closed-to-all-{number}", "blocks everybody", is_closed=True)
    for number in range(1, 3):
        yield _account(f"jobs-only-{number}", "accepts only messages of type job", accepted_types=(MessageType.JOB,))
    yield _account("mailbox-550", "reached by e-mail; the mailbox refuses for good (550)", channel=Channel.EMAIL)
    yield _account("mailbox-451", "reached by e-mail; the mailbox refuses for a while (451)", channel=Channel.EMAIL)
    yield _account("account-closed", "a closed account: sending to it is refused", status=AccountStatus.CLOSED)


def _account(name: str, note: str, **facts: Any) -> DemoAccount:
    title = name.replace("-", " ").capitalize()
    return DemoAccount(AccountFacts(uuid5(_NAMESPACE, name), title, f"{name}@{_MAIL_DOMAIN}", **facts), note)


def seed(database: Database) -> None:
    """Create the demo client and its accounts, unless they exist: later changes to them stay."""
    with transaction(database) as db:
        if clients.exists(db, CLIENT_ID):
            return
        clients.put(db, CLIENT_ID, "Demo platform", scopes=_SCOPES)
        accounts.put(db, [account.facts for account in demo_accounts()])
        simulated_accounts.mark(db, CLIENT_ID, is_test=True)


def credentials(database: Database, settings: Settings, facts_path: Path) -> dict[str, str]:
    """Return the demo client's id, API key, secret and signing key: those in `demo.json`, or new ones."""
    written = _read(facts_path)
    found = {"client_id": str(CLIENT_ID)}
    with transaction(database) as db:
        for field, kind in _CREDENTIALS.items():
            parts = parse_credential(str(written.get(field, "")))
            known = clients.find_credential(db, parts[0], kind) if parts else None
            if parts and known and known.client_id == CLIENT_ID and is_match(parts[1], known.digest, settings.pepper):
                found[field] = str(written[field])
                continue
            fresh = _generate(kind, settings)
            clients.add_credentials(db, CLIENT_ID, [fresh])
            found[field] = fresh.text.get_secret_value()
    return found


def _generate(kind: CredentialKind, settings: Settings) -> NewCredential:
    if kind is CredentialKind.SIGNING_KEY and settings.sealing_key is not None:
        return generate_signing_key(settings.pepper, settings.sealing_key)
    return generate_credential(kind, settings.pepper)


def staff_login(database: Database, facts_path: Path) -> dict[str, str]:
    """Return the login of the demo's member of staff: that of `demo.json` if it works, or one with a new password."""
    known = str(_read(facts_path).get("staff_password", ""))
    with transaction(database) as db:
        member = staff.by_name(db, STAFF_NAME)
        if member is None or not is_password(known, member.password_digest):
            known = generate_password()
            _set_password(db, member, digest_password(known))
    return {"staff_name": STAFF_NAME, "staff_password": known}


def _set_password(db: Transaction, member: StaffMember | None, digest: str) -> None:
    if member is None:
        staff.add(db, NewStaff(STAFF_NAME, StaffRole.ADMIN, digest))
    else:
        staff.set_password(db, member.staff_id, digest)


def account_list(database: Database) -> list[dict[str, str]]:
    """Return the demo accounts as they are now, for `demo.json`."""
    notes = {account.facts.account_id: account.note for account in demo_accounts()}
    with transaction(database) as db:
        known = accounts.find(db, list(notes))
    return [
        {
            "uuid": str(facts.account_id),
            "name": facts.name,
            "email": facts.email,
            "channel": str(facts.channel),
            "note": notes[facts.account_id],
        }
        for facts in sorted(known, key=lambda facts: list(notes).index(facts.account_id))
    ]


def write_atomically(path: Path, content: str) -> None:
    """Write a file that holds secrets: only this user can read it, and no reader sees a part of it."""
    fresh = path.with_suffix(".fresh")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)
    fresh.replace(path)


def write_facts(path: Path, facts: Mapping[str, object]) -> None:
    """Write `demo.json`."""
    write_atomically(path, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")


def _read(path: Path) -> dict[str, object]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def curl_example(base_url: str, api_key: str) -> str:
    """Return a curl command that sends one message to recipients of four kinds."""
    by_name = {account.facts.email.partition("@")[0]: str(account.facts.account_id) for account in demo_accounts()}
    names = ("inbox-01", "email-01", "closed-to-all-1", "mailbox-550")
    message = {
        "recipient_uuids": [by_name[name] for name in names],
        "sender_name": "Ada Lovelace",
        "sender_email": "ada@example.com",
        "subject": "A translation from French",
        "body": "Are you free next week?\n",
        "type": "job",
    }
    return (
        f"curl -i {base_url}/messages \\\n  -H 'X-Proz-API-Key: {api_key}' \\\n"
        f"  -H 'Content-Type: application/json' \\\n  -d '{json.dumps(message)}'"
    )
