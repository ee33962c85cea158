"""Read the fields of a message into a draft, or find every fault in them."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticUseDefault, core_schema

from delivery.intake.errors import FieldError
from delivery.intake.fields import AddressField, TextField, WordField, check_text, distinct
from delivery.intake.shapes import FieldType, JsonSchema, Shape, fault, without_default
from delivery.intake.uuids import UUID_PATTERN, read_uuid
from delivery.vocabulary import MessageType

RECIPIENT_LIMIT = 25
SENDER_NAME_LIMIT = 120
SUBJECT_LIMIT = 255
BODY_LIMIT = 65_536

_WITHOUT_EFFECT = frozenset({"attachments", "bcc", "cc", "html", "template"})
_RECIPIENT = "Recipient {index} (counted from 0)"


class AccountField(FieldType):
    """The UUID of one account. The empty text means absent."""

    def read(self, value: object) -> UUID:
        """Return the id."""
        text = check_text(value)
        if text == "":
            raise PydanticUseDefault
        found = read_uuid(text)
        if found is None:
            raise fault("invalid_uuid", "{field} is not a UUID of the form 8-4-4-4-12 hexadecimal digits.")
        return found

    def describe(self) -> JsonSchema:
        """Describe a text: the empty one and null mean absent."""
        return {"type": ["string", "null"]}


class RecipientsField(FieldType):
    """A list of account UUIDs, counted before repetitions are dropped; a single text is a list of one."""

    def read(self, value: object) -> list[object]:
        """Return the list; pydantic reads each UUID."""
        if value is None:
            raise fault("required", f"{{field}} is missing. Give a list of 1 to {RECIPIENT_LIMIT} account UUIDs.")
        if not isinstance(value, list | str):
            raise fault("wrong_type", "{field} must be a list of account UUIDs.")
        recipients = _as_list(value)
        if not recipients:
            raise fault("too_few", f"{{field}} is empty. Give 1 to {RECIPIENT_LIMIT} account UUIDs.")
        if len(recipients) > RECIPIENT_LIMIT:
            raise fault("too_many", f"{{field}} has more than {RECIPIENT_LIMIT} entries. Send several messages.")
        return recipients

    def describe(self) -> JsonSchema:
        """Describe the list and the single text."""
        uuid = {"type": "string", "format": "uuid"}
        return {"anyOf": [{"type": "array", "items": uuid, "minItems": 1, "maxItems": RECIPIENT_LIMIT}, uuid]}

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read the UUIDs in pydantic's own code: 25 take 6 us there and took 40 us in Python."""
        text = core_schema.custom_error_schema(
            core_schema.is_instance_schema(str),
            "wrong_type",
            custom_error_message=f"{_RECIPIENT} must be a UUID text.",
        )
        uuid = core_schema.custom_error_schema(
            core_schema.chain_schema(
                [core_schema.str_schema(pattern=f"^{UUID_PATTERN}$", strict=True), core_schema.uuid_schema()]
            ),
            "invalid_uuid",
            custom_error_message=f"{_RECIPIENT} is not a UUID of the form 8-4-4-4-12 hexadecimal digits.",
        )
        recipients = core_schema.list_schema(core_schema.chain_schema([text, uuid]))
        return core_schema.no_info_after_validator_function(
            distinct, core_schema.no_info_before_validator_function(self.read, recipients)
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """A message to send. Unknown and read-only fields are ignored."""

    recipient_ids: Annotated[
        tuple[UUID, ...],
        RecipientsField(),
        Field(
            alias="recipient_uuids",
            description="The accounts to reach; the same one twice counts once. A single text is a list of one.",
        ),
    ]
    """Distinct, in their first order."""
    sender_name: Annotated[str, TextField(SENDER_NAME_LIMIT)]
    sender_email: Annotated[
        str | None, AddressField(), Field(None, description="A plain address to which replies go; empty means none.")
    ]
    subject: Annotated[str, TextField(SUBJECT_LIMIT), Field(description="One line.")]
    body: Annotated[str, TextField(BODY_LIMIT, is_body=True)]
    type: Annotated[MessageType, WordField(MessageType)] = MessageType.OTHER
    sender_account_id: Annotated[
        UUID | None,
        AccountField(),
        Field(
            None,
            alias="sender_account_uuid",
            description="The sender's own account, if you attest it.",
            json_schema_extra=without_default,
        ),
    ] = None


MESSAGE = Shape(Draft, title="MessageFields")


def read_draft(fields: Mapping[str, object]) -> Draft:
    """Read a draft. Raises `InvalidInput` with every fault of every field."""
    return MESSAGE.read(fields)


def ignored_fields(fields: Mapping[str, object]) -> list[str]:
    """Return the fields that people send elsewhere and that do nothing here, in alphabetical order."""
    return sorted(_WITHOUT_EFFECT & fields.keys())


def given_recipients(fields: Mapping[str, object]) -> list[UUID]:
    """List the recipients of fields that make a draft, in the order of the request, repetitions included."""
    return [UUID(str(item)) for item in _as_list(fields["recipient_uuids"])]


def content_hash(draft: Draft) -> bytes:
    """Compute the SHA-256 of everything that is stored, in canonical form. Repetitions of a key are compared by it.

    Recipients count as a set; text counts exactly as it was sent, in whichever encoding.
    """
    recipients = sorted(str(each) for each in draft.recipient_ids)
    content = [recipients, draft.sender_name, draft.sender_email, draft.subject, draft.body, draft.type]
    if draft.sender_account_id is not None:
        content.append(str(draft.sender_account_id))
    return hashlib.sha256(json.dumps(content).encode()).digest()


def unknown_recipient(index: int) -> FieldError:
    """Make the fault of a recipient. It is the same for unknown, closed and suspended accounts."""
    return FieldError(
        "recipient_uuids",
        "unknown_recipient",
        f"Recipient {index} (counted from 0) is not a known, active account. Remove it and send again.",
        index,
    )


def unknown_sender() -> FieldError:
    """Make the fault of a sender's account that is unknown, closed or suspended."""
    sentence = "sender_account_uuid is not a known, active account. Leave it out, or register the account first."
    return FieldError("sender_account_uuid", "unknown_sender", sentence)


def faults_of_unknown(draft: Draft, given_ids: Sequence[UUID], unknown: Collection[UUID]) -> list[FieldError]:
    """Return a fault for each given recipient, and for the sender's account, that is among these unknown accounts."""
    faults = [unknown_recipient(index) for index, each in enumerate(given_ids) if each in unknown]
    return [*faults, unknown_sender()] if draft.sender_account_id in unknown else faults


def _as_list(recipients: object) -> list[object]:
    return recipients if isinstance(recipients, list) else [recipients]
