"""Read a direct send: the fields of a request and an id that its sender made (docs/direct-sends.md)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from delivery.intake.errors import FieldError, InvalidInput
from delivery.intake.messages import Draft, given_recipients, read_draft
from delivery.intake.uuids import read_uuid

ID_FIELD = "message_uuid"


@dataclass(frozen=True, slots=True)
class DirectSend:
    """A draft and its sender's own id for it. `given_ids` are the recipients as given, repetitions included."""

    message_id: UUID
    draft: Draft
    given_ids: tuple[UUID, ...]


def read_direct_send(fields: Mapping[str, object]) -> DirectSend:
    """Read a direct send. Unknown and read-only fields are ignored.

    Raises `InvalidInput` with every fault of every field.
    """
    faults = list(_faults_of_id(fields.get(ID_FIELD)))
    try:
        draft = read_draft(fields)
    except InvalidInput as error:
        raise InvalidInput([*error.faults, *faults]) from None
    message_id = find_message_id(fields)
    if message_id is None:
        raise InvalidInput(faults)
    return DirectSend(message_id, draft, tuple(given_recipients(fields)))


def find_message_id(fields: Mapping[str, object]) -> UUID | None:
    """Return the sender's id for the message; None where it is missing or invalid."""
    text = fields.get(ID_FIELD)
    return read_uuid(text) if isinstance(text, str) else None


def reused_id() -> FieldError:
    """Make the fault of an id that was used before. It reveals neither the client nor the message."""
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
