"""What a client sends to change rules: a document, the mode of a rule, or entries of a list."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from delivery.intake.fields import ListField, TextField, WordField
from delivery.intake.shapes import Shape
from delivery.rules.rule_set import Mode

_DOCUMENT_LIMIT = 1024 * 1024
_ENTRY_LIMIT = 255
_ENTRIES_LIMIT = 10_000
_COMMENT_LIMIT = 255

_Comment = Annotated[
    str, TextField(_COMMENT_LIMIT), Field(description="Why the change is made, for the history of rule sets.")
]
_Entries = Annotated[tuple[str, ...] | None, ListField(TextField(_ENTRY_LIMIT), _ENTRIES_LIMIT)]


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """A rule set or a policy as YAML, and why it is made."""

    document: Annotated[
        str, TextField(_DOCUMENT_LIMIT, is_body=True), Field(description="YAML, as docs/rules.md has it.")
    ]
    comment: _Comment


@dataclass(frozen=True, slots=True)
class CheckedDocument:
    """A rule set as YAML."""

    document: Annotated[
        str, TextField(_DOCUMENT_LIMIT, is_body=True), Field(description="YAML, as docs/rules.md has it.")
    ]


@dataclass(frozen=True, slots=True)
class ModeChange:
    """The new mode of a rule, and why."""

    mode: Annotated[Mode, WordField(Mode, is_entry=True)]
    comment: _Comment


@dataclass(frozen=True, slots=True)
class EntryChange:
    """Entries to add to a list and to remove from it, and why."""

    comment: _Comment
    add: Annotated[_Entries, Field(description="Entries to add. A list that does not exist is made.")] = None
    remove: Annotated[_Entries, Field(description="Entries to remove.")] = None


DOCUMENT_CHANGE = Shape(DocumentChange, title="DocumentChangeFields")
CHECKED_DOCUMENT = Shape(CheckedDocument, title="CheckedDocumentFields")
MODE_CHANGE = Shape(ModeChange, title="ModeChangeFields")
ENTRY_CHANGE = Shape(EntryChange, title="EntryChangeFields")
SHAPES: tuple[Shape[Any], ...] = (DOCUMENT_CHANGE, CHECKED_DOCUMENT, MODE_CHANGE, ENTRY_CHANGE)
