"""From the fields that a client sent to a draft, or to every fault in them at once (CONTRACT.md sections 1 and 5)."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from delivery.intake.errors import FieldError, InvalidInput
from delivery.intake.fields import faults_of_address, faults_of_text, faults_of_word
from delivery.intake.uuids import read_uuid
from delivery.vocabulary import MessageType

RECIPIENT_LIMIT = 25
SENDER_NAME_LIMIT = 120
SUBJECT_LIMIT = 255
BODY_LIMIT = 65_536


@dataclass(frozen=True, slots=True)
class Draft:
    """A message as its client meant it: checked in shape, its recipients distinct and in their first order."""

    recipient_ids: tuple[UUID, ...]
    sender_name: str
    sender_email: str | None
    subject: str
    body: str
    type: MessageType


def read_draft(fields: Mapping[str, object]) -> Draft:
    """Make a draft of these fields. Unknown and read-only fields are ignored.

    Raises `Unacceptable` with every fault of every field.
    """
    faults = list(_faults_of_list(fields.get("recipient_uuids")))
    recipient_ids = [] if faults else _read_recipients(_listed(fields["recipient_uuids"]), faults)
    faults += faults_of_text("sender_name", fields.get("sender_name"), SENDER_NAME_LIMIT)
    faults += faults_of_address("sender_email", fields.get("sender_email"))
    faults += faults_of_text("subject", fields.get("subject"), SUBJECT_LIMIT)
    faults += faults_of_text("body", fields.get("body"), BODY_LIMIT, is_body=True)
    faults += faults_of_word("type", fields.get("type"), MessageType)
    if faults:
        raise InvalidInput(faults)
    return Draft(
        recipient_ids=tuple(dict.fromkeys(recipient_ids)),
        sender_name=str(fields["sender_name"]),
        sender_email=str(fields.get("sender_email") or "") or None,
        subject=str(fields["subject"]),
        body=str(fields["body"]),
        type=MessageType(str(fields.get("type") or MessageType.OTHER)),
    )


def given_recipients(fields: Mapping[str, object]) -> list[UUID]:
    """List the recipients of fields that make a draft, in the places they were given: repeated ones are repeated."""
    return [UUID(str(item)) for item in _listed(fields["recipient_uuids"])]


def content_hash(draft: Draft) -> bytes:
    """Compute what a repetition is compared by: SHA-256 over the canonical form of everything that is stored.

    Recipients count as a set; text counts exactly as it was given, whatever encoding brought it.
    """
    recipients = sorted(str(each) for each in draft.recipient_ids)
    content = [recipients, draft.sender_name, draft.sender_email, draft.subject, draft.body, draft.type]
    return hashlib.sha256(json.dumps(content).encode()).digest()


def unknown_recipient(index: int) -> FieldError:
    """Give the one fault for unknown, closed and suspended accounts alike."""
    return FieldError(
        "recipient_uuids",
        "unknown_recipient",
        f"Recipient {index} (counted from 0) is not a known, active account. Remove it and send again.",
        index,
    )


def _listed(recipients: object) -> list[object]:
    return recipients if isinstance(recipients, list) else [recipients]


def _faults_of_list(value: object) -> Iterator[FieldError]:
    field = "recipient_uuids"
    if value is None:
        yield FieldError(field, "required", f"{field} is missing. Give a list of 1 to {RECIPIENT_LIMIT} account UUIDs.")
    elif not isinstance(value, list | str):
        yield FieldError(field, "wrong_type", f"{field} must be a list of account UUIDs.")
    elif value == []:
        yield FieldError(field, "too_few", f"{field} is empty. Give 1 to {RECIPIENT_LIMIT} account UUIDs.")
    elif len(_listed(value)) > RECIPIENT_LIMIT:
        yield FieldError(field, "too_many", f"{field} has more than {RECIPIENT_LIMIT} entries. Send several messages.")


def _read_recipients(items: Sequence[object], faults: list[FieldError]) -> list[UUID]:
    """Read the members of the list; what is none adds to the faults."""
    read = [read_uuid(item) if isinstance(item, str) else None for item in items]
    faults += [_fault_of_recipient(index, items[index]) for index, account_id in enumerate(read) if account_id is None]
    return [account_id for account_id in read if account_id is not None]


def _fault_of_recipient(index: int, item: object) -> FieldError:
    if not isinstance(item, str):
        return FieldError(
            "recipient_uuids", "wrong_type", f"Recipient {index} (counted from 0) must be a UUID text.", index
        )
    message = f"Recipient {index} (counted from 0) is not a UUID of the form 8-4-4-4-12 hexadecimal digits."
    return FieldError("recipient_uuids", "invalid_uuid", message, index)
