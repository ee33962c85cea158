"""The types of fields that several shapes share. Each finds at most one fault in a value."""

import re
import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import email_validator
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticUseDefault, core_schema

from delivery.intake.shapes import FieldType, JsonSchema, fault

ADDRESS_LIMIT_BYTES = 254

# Reserved domains (.test, .localhost) are as plain as any; the relay decides whether they deliver. This is the
# documented way to allow them.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

# Classes of characters are written out: looking up the category of each character took 149 us for 2 kB, this takes 8.
# Cc and Cs; a body may have TAB and LF, and CR in CRLF. U+2028 and U+2029 break no line of a mail and may stay in it.
_FORBIDDEN_IN_BODY = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# One line has no control at all, no U+2028 or U+2029 (Zl, Zp), and no bidirectional control: those can make one line
# read as another (Unicode TR 36).
_FORBIDDEN_IN_LINE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# Invisible although Unicode calls them letters, marks or symbols: the Hangul and Khmer fillers, the grapheme joiner and
# the variation selectors (Default_Ignorable_Code_Point in DerivedCoreProperties), and the empty Braille cell.
_WITHOUT_GLYPH = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


@dataclass(frozen=True, slots=True)
class TextField(FieldType):
    """A required text of at most `limit` code points; only a body may have tabs and line breaks."""

    limit: int
    is_body: bool = False

    def read(self, value: object) -> str:
        """Return the text as it is."""
        if value is None:
            raise fault("required", "{field} is missing.")
        text = check_text(value)
        if len(text) > self.limit:
            raise fault("too_long", f"{{field}} has {len(text)} characters; at most {self.limit} are allowed.")
        if has_forbidden(text, is_body=self.is_body):
            kind = "control characters" if self.is_body else "line breaks, control or text-direction characters"
            raise fault("forbidden_character", f"{{field}} must not contain {kind}.")
        if is_blank(text):
            raise fault("blank", "{field} has no visible text.")
        return text

    def describe(self) -> JsonSchema:
        """Describe a text that is not empty."""
        return {"type": "string", "minLength": 1, "maxLength": self.limit}


@dataclass(frozen=True, slots=True)
class AddressField(FieldType):
    """A plain e-mail address. Unless it is required, the empty text means absent."""

    is_required: bool = False

    def read(self, value: object) -> str:
        """Return the address as it is."""
        if value is None:
            raise fault("required", "{field} is missing.")
        text = check_text(value)
        if text == "":
            raise fault("blank", "{field} has no visible text.") if self.is_required else PydanticUseDefault
        if len(text.encode("utf-8", "surrogatepass")) > ADDRESS_LIMIT_BYTES:
            raise fault("too_long", f"{{field}} has more than {ADDRESS_LIMIT_BYTES} bytes.")
        if not is_plain_address(text):
            raise fault("invalid_email", "{field} must be one plain address, such as name@example.com.")
        return text

    def describe(self) -> JsonSchema:
        """Describe an address as a text: JSON schema's format `email` allows more than a plain address."""
        return {"type": "string" if self.is_required else ["string", "null"]}


@dataclass(frozen=True, slots=True)
class WordField(FieldType):
    """A word of a vocabulary. Unless it is an entry of a list, the empty text means absent."""

    words: type[StrEnum]
    is_entry: bool = False

    def read(self, value: object) -> StrEnum:
        """Return the member of the vocabulary."""
        text = check_text(value)
        if text == "" and not self.is_entry:
            raise PydanticUseDefault
        if text not in set(self.words):  # Enum would write the whole text into an error: 9 ms for a mebibyte.
            raise fault("invalid_value", f"{{field}} must be one of {', '.join(self.words)}.")
        return self.words(text)

    def describe(self) -> JsonSchema:
        """Describe the vocabulary, with the two values that mean absent."""
        return {"enum": [*self.words] if self.is_entry else [*self.words, "", None]}


class FlagField(FieldType):
    """True or false, and no number that stands for it."""

    def read(self, value: object) -> bool:
        """Return the value as it is."""
        if not isinstance(value, bool):
            raise fault("wrong_type", "{field} must be true or false.")
        return value

    def describe(self) -> JsonSchema:
        """Describe a boolean."""
        return {"type": ["boolean", "null"]}


@dataclass(frozen=True, slots=True)
class ListField(FieldType):
    """A list of at most `limit` entries of one kind; a repeated entry counts once."""

    kind: FieldType
    limit: int

    def read(self, value: object) -> list[object]:
        """Return the list as it is; pydantic reads each entry."""
        if not isinstance(value, list):
            raise fault("wrong_type", "{field} must be a list, or null.")
        if len(value) > self.limit:
            raise fault("too_many", f"{{field}} has {len(value)} entries; at most {self.limit} are allowed.")
        return value

    def describe(self) -> JsonSchema:
        """Describe the list."""
        return {"type": ["array", "null"], "items": self.kind.describe(), "maxItems": self.limit}

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check the list, then each entry, then drop the repetitions."""
        entries = core_schema.list_schema(core_schema.no_info_plain_validator_function(self.kind.read))
        return core_schema.no_info_after_validator_function(
            distinct, core_schema.no_info_before_validator_function(self.read, entries)
        )


def check_text(value: object) -> str:
    """Return a text as it is. Raises `fault` for every other value."""
    if not isinstance(value, str):
        raise fault("wrong_type", "{field} must be text.")
    return value


def distinct(entries: list[object]) -> tuple[object, ...]:
    """Return the entries without repetitions, in their first order."""
    return tuple(dict.fromkeys(entries))


def has_forbidden(text: str, *, is_body: bool) -> bool:
    """Return whether a text has a character that its kind of field must not have."""
    if is_body:
        return _FORBIDDEN_IN_BODY.search(text.replace("\r\n", "\n")) is not None
    return _FORBIDDEN_IN_LINE.search(text) is not None


def is_blank(text: str) -> bool:
    """Return whether a text shows nothing: only blanks, and format or filler characters that have no glyph."""
    return all(c.isspace() or unicodedata.category(c) in {"Cf", "Cc"} or _WITHOUT_GLYPH.match(c) for c in text)


def is_plain_address(text: str) -> bool:
    """Return whether this is one address with an ASCII local part and a domain with a dot, and nothing around it."""
    return len(text) <= ADDRESS_LIMIT_BYTES and _is_plain_address(text)


@lru_cache(1024)
def _is_plain_address(text: str) -> bool:
    try:
        validated = email_validator.validate_email(text, check_deliverability=False, allow_smtputf8=False)
    except (email_validator.EmailNotValidError, UnicodeError):
        return False
    # A last label of digits makes an IP address of it (RFC 3696 section 2), which is no domain.
    return "." in validated.ascii_domain and not validated.ascii_domain.rpartition(".")[2].isdigit()
