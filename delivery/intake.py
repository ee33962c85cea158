"""From the fields that a client sent to a draft, or to every fault in them at once (CONTRACT.md sections 1 and 5)."""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from uuid import UUID

from email_validator import EmailNotValidError, validate_email

from delivery.vocabulary import MessageType

RECIPIENT_LIMIT = 25
SENDER_NAME_LIMIT = 120
SUBJECT_LIMIT = 255
BODY_LIMIT = 65_536
ADDRESS_LIMIT_BYTES = 254

# uuid.UUID() alone also takes braces, "urn:uuid:", missing dashes and full-width digits (measured).
_CANONICAL_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_LINE_BREAKS_IN_BODY = frozenset("\t\n")
# Zl and Zp are U+2028 and U+2029. The bidirectional controls can make one line read as another (Unicode TR 36).
_CONTROL_CATEGORIES = frozenset({"Cc", "Zl", "Zp"})
# Invisible although Unicode calls them letters, marks or symbols: the Hangul and Khmer fillers, the grapheme joiner and
# the variation selectors (Default_Ignorable_Code_Point in DerivedCoreProperties), and the empty Braille cell.
_WITHOUT_PICTURE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Draft:
    """A message as its client meant it: checked in shape, its recipients distinct and in their first order."""

    recipient_ids: tuple[UUID, ...]
    sender_name: str
    sender_email: str | None
    subject: str
    body: str
    type: MessageType


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request. `message` is for a person and never echoes what was sent."""

    field: str
    code: str
    message: str
    index: int | None = None

    @property
    def place(self) -> str:
        """The field's name as an answer shows it, such as `recipient_uuids[3]`."""
        return self.field if self.index is None else f"{self.field}[{self.index}]"


class Unacceptable(Exception):  # noqa: N818 - it is a verdict on a request, not an error of ours
    """What was sent cannot be accepted; `faults` has every reason, in order of field and index."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = sorted(faults, key=lambda fault: (fault.field, -1 if fault.index is None else fault.index))
        super().__init__("; ".join(f"{fault.place}: {fault.code}" for fault in self.faults))


def read_draft(fields: Mapping[str, object]) -> Draft:
    """Make a draft of these fields. Unknown and read-only fields are ignored.

    Raises `Unacceptable` with every fault of every field.
    """
    faults: list[Fault] = []
    recipients = fields.get("recipient_uuids")
    faults += _faults_of_recipients(recipients)
    faults += _faults_of_text("sender_name", fields.get("sender_name"), SENDER_NAME_LIMIT)
    faults += _faults_of_address(fields.get("sender_email"))
    faults += _faults_of_text("subject", fields.get("subject"), SUBJECT_LIMIT)
    faults += _faults_of_text("body", fields.get("body"), BODY_LIMIT, is_body=True)
    faults += _faults_of_type(fields.get("type"))
    if faults:
        raise Unacceptable(faults)
    return Draft(
        recipient_ids=tuple(dict.fromkeys(given_recipients(fields))),
        sender_name=str(fields["sender_name"]),
        sender_email=str(fields.get("sender_email") or "") or None,
        subject=str(fields["subject"]),
        body=str(fields["body"]),
        type=MessageType(str(fields.get("type") or MessageType.OTHER)),
    )


def given_recipients(fields: Mapping[str, object]) -> list[UUID]:
    """List the recipients of fields that make a draft, in the places they were given: repeated ones are repeated."""
    return [UUID(str(item)) for item in _listed(fields["recipient_uuids"])]


def unknown_recipient(index: int) -> Fault:
    """Give the one fault for unknown, closed and suspended accounts alike."""
    return Fault(
        "recipient_uuids",
        "unknown_recipient",
        f"Recipient {index} (counted from 0) is not a known, active account. Remove it and send again.",
        index,
    )


def read_uuid(text: str) -> UUID | None:
    """Read a UUID in its canonical 8-4-4-4-12 form, in either case; None for every other text."""
    return UUID(text) if _CANONICAL_UUID.fullmatch(text) else None


def _listed(recipients: object) -> list[object]:
    return recipients if isinstance(recipients, list) else [recipients]


def _faults_of_recipients(value: object) -> Iterator[Fault]:
    field = "recipient_uuids"
    if value is None:
        yield Fault(field, "required", f"{field} is missing. Give a list of 1 to {RECIPIENT_LIMIT} account UUIDs.")
    elif not isinstance(value, list | str):
        yield Fault(field, "wrong_type", f"{field} must be a list of account UUIDs.")
    elif value == []:
        yield Fault(field, "too_few", f"{field} is empty. Give 1 to {RECIPIENT_LIMIT} account UUIDs.")
    elif len(_listed(value)) > RECIPIENT_LIMIT:
        yield Fault(field, "too_many", f"{field} has more than {RECIPIENT_LIMIT} entries. Send several messages.")
    else:
        for index, item in enumerate(_listed(value)):
            yield from _faults_of_recipient(index, item)


def _faults_of_recipient(index: int, item: object) -> Iterator[Fault]:
    if not isinstance(item, str):
        yield Fault("recipient_uuids", "wrong_type", f"Recipient {index} (counted from 0) must be a UUID text.", index)
    elif read_uuid(item) is None:
        message = f"Recipient {index} (counted from 0) is not a UUID of the form 8-4-4-4-12 hexadecimal digits."
        yield Fault("recipient_uuids", "invalid_uuid", message, index)


def _faults_of_text(field: str, value: object, limit: int, *, is_body: bool = False) -> Iterator[Fault]:
    if value is None:
        yield Fault(field, "required", f"{field} is missing.")
    elif not isinstance(value, str):
        yield Fault(field, "wrong_type", f"{field} must be text.")
    elif len(value) > limit:
        yield Fault(field, "too_long", f"{field} has {len(value)} characters; at most {limit} are allowed.")
    elif _has_forbidden(value, is_body=is_body):
        kind = "control characters" if is_body else "line breaks, control or text-direction characters"
        yield Fault(field, "forbidden_character", f"{field} must not contain {kind}.")
    elif is_blank(value):
        yield Fault(field, "blank", f"{field} has no visible text.")


def _has_forbidden(text: str, *, is_body: bool) -> bool:
    if is_body:
        # CR belongs to CRLF only; Zl and Zp break no line of a mail and stay as they are.
        text = text.replace("\r\n", "\n")
        return any(unicodedata.category(c) in {"Cc", "Cs"} and c not in _LINE_BREAKS_IN_BODY for c in text)
    return any(c in _BIDI_CONTROLS or unicodedata.category(c) in _CONTROL_CATEGORIES | {"Cs"} for c in text)


def is_blank(text: str) -> bool:
    """Say whether a text shows nothing: blanks, and format or filler characters that have no picture."""
    return all(c.isspace() or unicodedata.category(c) in {"Cf", "Cc"} or _WITHOUT_PICTURE.match(c) for c in text)


def _faults_of_address(value: object) -> Iterator[Fault]:
    if value is None or value == "":
        return
    if not isinstance(value, str):
        yield Fault("sender_email", "wrong_type", "sender_email must be text.")
    elif len(value.encode("utf-8", "surrogatepass")) > ADDRESS_LIMIT_BYTES:
        yield Fault("sender_email", "too_long", f"sender_email has more than {ADDRESS_LIMIT_BYTES} bytes.")
    elif not is_plain_address(value):
        yield Fault(
            "sender_email", "invalid_email", "sender_email must be one plain address, such as name@example.com."
        )


def is_plain_address(text: str) -> bool:
    """Say whether this is one address with an ASCII local part and a domain with a dot, and nothing around it."""
    try:
        # Reserved domains (.test, .example) are as plain as any; whether they deliver is the relay's answer.
        validated = validate_email(text, check_deliverability=False, allow_smtputf8=False, test_environment=True)
    except (EmailNotValidError, UnicodeError):
        return False
    # A last label of digits makes an IP address of it (RFC 3696 section 2), which is no domain.
    return "." in validated.ascii_domain and not validated.ascii_domain.rpartition(".")[2].isdigit()


def _faults_of_type(value: object) -> Iterator[Fault]:
    if value is None or value == "":
        return
    if not isinstance(value, str):
        yield Fault("type", "wrong_type", "type must be text.")
    elif value not in set(MessageType):
        yield Fault("type", "invalid_value", f"type must be one of {', '.join(MessageType)}.")
