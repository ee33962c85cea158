"""Direct sends: the fields of a request and an id that their sender made, or every fault in both (CONTRACT.md 6)."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from delivery.intake.errors import FieldError, InvalidInput
from delivery.intake.messages import Draft, given_recipients, read_draft, unknown_recipient
from delivery.intake.uuids import read_uuid

ID_FIELD = "message_uuid"


@dataclass(frozen=True, slots=True)
class DirectSend:
    """A draft with its sender's own id for it. `given_ids` are the recipients in the places they were given."""

    message_id: UUID
    draft: Draft
    given_ids: tuple[UUID, ...]


def read_direct_send(fields: Mapping[str, object]) -> DirectSend:
    """Make a direct send of these fields. Unknown and read-only fields are ignored.

    Raises `Unacceptable` with every fault of every field.
    """
    faults = list(_faults_of_id(fields.get(ID_FIELD)))
    try:
        draft = read_draft(fields)
    except InvalidInput as unacceptable:
        raise InvalidInput([*unacceptable.faults, *faults]) from None
    message_id = find_message_id(fields)
    if message_id is None:
        raise InvalidInput(faults)
    return DirectSend(message_id, draft, tuple(given_recipients(fields)))


def find_message_id(fields: Mapping[str, object]) -> UUID | None:
    """Give the sender's id for the message, where it can be read."""
    text = fields.get(ID_FIELD)
    return read_uuid(text) if isinstance(text, str) else None


def faults_of_unknown(sent: DirectSend, unknown: Collection[UUID]) -> list[FieldError]:
    """Give the faults of a send to these unknown accounts, each in its place."""
    return [unknown_recipient(index) for index, each in enumerate(sent.given_ids) if each in unknown]


def reused_id() -> FieldError:
    """Give the fault of an id that was used before. It tells neither by whom nor for what."""
    return FieldError(
        ID_FIELD, "message_uuid_reused", f"This {ID_FIELD} was used before, for another message. Make a new one."
    )


def _faults_of_id(value: object) -> Iterator[FieldError]:
    if value is None:
        yield FieldError(
            ID_FIELD, "required", f"{ID_FIELD} is missing. Make a UUID for each message and keep it for repetitions."
        )
    elif not isinstance(value, str):
        yield FieldError(ID_FIELD, "wrong_type", f"{ID_FIELD} must be a UUID text.")
    elif read_uuid(value) is None:
        yield FieldError(
            ID_FIELD, "invalid_uuid", f"{ID_FIELD} is not a UUID of the form 8-4-4-4-12 hexadecimal digits."
        )
