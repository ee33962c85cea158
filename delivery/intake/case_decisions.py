"""What a client sends to decide a vetting case, or to work on it."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from delivery.intake.fields import ListField, TextField, check_text
from delivery.intake.shapes import FieldType, JsonSchema, Shape, fault, without_default
from delivery.intake.uuids import read_uuid
from delivery.rules.case_decisions import LONGEST_PAUSE, LONGEST_STANDING, CaseVerdict

_NAME_LIMIT = 100
_NOTE_LIMIT = 4000
_REASON_LIMIT = 100
_SENTENCE_LIMIT = 300
_RECIPIENT_LIMIT = 25
_LARGEST_VERSION = 2**31 - 1
_STANDING_VERDICTS = (CaseVerdict.APPROVE, CaseVerdict.REJECT)


@dataclass(frozen=True, slots=True)
class NumberField(FieldType):
    """A whole number in a range. JSON is read with floats only."""

    smallest: int
    largest: int

    def read(self, value: object) -> int:
        """Return the number."""
        if not isinstance(value, float) or not value.is_integer():
            raise fault("wrong_type", "{field} must be a whole number.")
        if not self.smallest <= value <= self.largest:
            raise fault("invalid_value", f"{{field}} must be {self.smallest} to {self.largest}.")
        return int(value)

    def describe(self) -> JsonSchema:
        """Describe the range."""
        return {"type": ["integer", "null"], "minimum": self.smallest, "maximum": self.largest}


@dataclass(frozen=True, slots=True)
class IdField(FieldType):
    """A UUID."""

    is_required: bool = False

    def read(self, value: object) -> UUID:
        """Return the id."""
        if value is None:
            raise fault("required", "{field} is missing.")
        found = read_uuid(check_text(value))
        if found is None:
            raise fault("invalid_uuid", "{field} is not a UUID of the form 8-4-4-4-12 hexadecimal digits.")
        return found

    def describe(self) -> JsonSchema:
        """Describe a text."""
        return {"type": "string" if self.is_required else ["string", "null"]}


@dataclass(frozen=True, slots=True)
class StandingVerdictField(FieldType):
    """The verdict of a standing decision."""

    def read(self, value: object) -> CaseVerdict:
        """Return the verdict."""
        if value is None:
            raise fault("required", "{field} is missing.")
        text = check_text(value)
        if text not in _STANDING_VERDICTS:
            raise fault("invalid_value", f"{{field}} must be one of {', '.join(_STANDING_VERDICTS)}.")
        return CaseVerdict(text)

    def describe(self) -> JsonSchema:
        """Describe the two verdicts."""
        return {"enum": [*_STANDING_VERDICTS]}


_As = Annotated[
    str | None,
    TextField(_NAME_LIMIT),
    Field(
        None,
        alias="as",
        description="The person who does this, recorded as claimed.",
        json_schema_extra=without_default,
    ),
]
_Version = Annotated[
    int | None,
    NumberField(1, _LARGEST_VERSION),
    Field(
        None,
        description="The version of the case that the decision is about. Another one is refused.",
        json_schema_extra=without_default,
    ),
]
_Only = Annotated[
    tuple[UUID, ...] | None,
    ListField(IdField(is_required=True), _RECIPIENT_LIMIT),
    Field(
        None,
        alias="recipient_uuids",
        description="Decide for these recipients only; the others stay held.",
        json_schema_extra=without_default,
    ),
]
_Pause = Annotated[
    int | None,
    NumberField(0, LONGEST_PAUSE.seconds),
    Field(
        None,
        description="Seconds until the decision takes effect. It can be undone until then. 0 without it.",
        json_schema_extra=without_default,
    ),
]
_OwnNote = Annotated[
    str | None,
    TextField(_NOTE_LIMIT, is_body=True),
    Field(None, description="For staff.", json_schema_extra=without_default),
]
_WhyRefused = Annotated[
    str | None,
    TextField(_REASON_LIMIT),
    Field(None, description="One of the reasons of the settings.", json_schema_extra=without_default),
]
_Sentence = Annotated[
    str | None,
    TextField(_SENTENCE_LIMIT),
    Field(None, description="Shown to the sender in status_message.", json_schema_extra=without_default),
]


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A decision that lets a held message go."""

    claimed_name: _As = None
    version: _Version = None
    only: _Only = None
    pause_s: _Pause = None
    note: _OwnNote = None


@dataclass(frozen=True, slots=True)
class RejectionRequest:
    """A decision that refuses a held message."""

    claimed_name: _As = None
    version: _Version = None
    only: _Only = None
    pause_s: _Pause = None
    note: _OwnNote = None
    reason: _WhyRefused = None
    sentence: _Sentence = None


@dataclass(frozen=True, slots=True)
class UndoRequest:
    """What to undo: the pending decision, or only the one with this id."""

    claimed_name: _As = None
    decision_id: Annotated[
        UUID | None,
        IdField(),
        Field(
            None,
            alias="decision_uuid",
            description="Undo this decision and no other.",
            json_schema_extra=without_default,
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class CaseWorkRequest:
    """Who claims or skips a case, or revokes a standing decision."""

    claimed_name: _As = None


@dataclass(frozen=True, slots=True)
class NoteRequest:
    """A note about a case, or why it is escalated."""

    content: Annotated[str, TextField(_NOTE_LIMIT, is_body=True)]
    claimed_name: _As = None


@dataclass(frozen=True, slots=True)
class StandingRequest:
    """A decision about the text and the sender of a case that lasts."""

    case_id: Annotated[UUID, IdField(is_required=True), Field(alias="case_uuid")]
    verdict: Annotated[CaseVerdict, StandingVerdictField()]
    claimed_name: _As = None
    days: Annotated[
        int | None,
        NumberField(1, LONGEST_STANDING.days),
        Field(None, description="How long it lasts. 7 without it.", json_schema_extra=without_default),
    ] = None
    reason: _WhyRefused = None
    sentence: _Sentence = None


APPROVAL = Shape(ApprovalRequest, title="CaseApprovalFields")
REJECTION = Shape(RejectionRequest, title="CaseRejectionFields")
UNDO = Shape(UndoRequest, title="CaseUndoFields")
CASE_WORK = Shape(CaseWorkRequest, title="CaseWorkFields")
NOTE = Shape(NoteRequest, title="CaseNoteFields")
STANDING = Shape(StandingRequest, title="StandingDecisionFields")
SHAPES: tuple[Shape[Any], ...] = (APPROVAL, REJECTION, UNDO, CASE_WORK, NOTE, STANDING)
