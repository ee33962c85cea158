"""The rules that fields of every kind share: text, addresses, words. Each finds at most one fault in a value."""

import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache

import email_validator

from delivery.intake.errors import FieldError

ADDRESS_LIMIT_BYTES = 254

# Reserved domains (.test, .localhost) are as plain as any; whether they deliver is the relay's answer. This is the
# documented way to say so.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

# Classes of characters are written out: a category asked for each character took 149 us for 2 kB, this takes 8.
# Cc and Cs; a body may have TAB and LF, and CR in CRLF. U+2028 and U+2029 break no line of a mail and may stay in it.
_FORBIDDEN_IN_BODY = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
# One line has no control at all, no U+2028 or U+2029 (Zl, Zp), and no bidirectional control: those can make one line
# read as another (Unicode TR 36).
_FORBIDDEN_IN_LINE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
# Invisible although Unicode calls them letters, marks or symbols: the Hangul and Khmer fillers, the grapheme joiner and
# the variation selectors (Default_Ignorable_Code_Point in DerivedCoreProperties), and the empty Braille cell.
_WITHOUT_PICTURE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def faults_of_text(field: str, value: object, limit: int, *, is_body: bool = False) -> Iterator[FieldError]:
    """Check a required text of at most `limit` code points; only a body may have tabs and line breaks."""
    if value is None:
        yield FieldError(field, "required", f"{field} is missing.")
    elif not isinstance(value, str):
        yield FieldError(field, "wrong_type", f"{field} must be text.")
    elif len(value) > limit:
        yield FieldError(field, "too_long", f"{field} has {len(value)} characters; at most {limit} are allowed.")
    elif has_forbidden(value, is_body=is_body):
        kind = "control characters" if is_body else "line breaks, control or text-direction characters"
        yield FieldError(field, "forbidden_character", f"{field} must not contain {kind}.")
    elif is_blank(value):
        yield FieldError(field, "blank", f"{field} has no visible text.")


def has_forbidden(text: str, *, is_body: bool) -> bool:
    """Say whether a text has a character that its kind of field must not have."""
    if is_body:
        return _FORBIDDEN_IN_BODY.search(text.replace("\r\n", "\n")) is not None
    return _FORBIDDEN_IN_LINE.search(text) is not None


def is_blank(text: str) -> bool:
    """Say whether a text shows nothing: blanks, and format or filler characters that have no picture."""
    return all(c.isspace() or unicodedata.category(c) in {"Cf", "Cc"} or _WITHOUT_PICTURE.match(c) for c in text)


def faults_of_address(field: str, value: object) -> Iterator[FieldError]:
    """Check an optional address; None and the empty text are none."""
    if value is None or value == "":
        return
    if not isinstance(value, str):
        yield FieldError(field, "wrong_type", f"{field} must be text.")
    elif len(value.encode("utf-8", "surrogatepass")) > ADDRESS_LIMIT_BYTES:
        yield FieldError(field, "too_long", f"{field} has more than {ADDRESS_LIMIT_BYTES} bytes.")
    elif not is_plain_address(value):
        yield FieldError(field, "invalid_email", f"{field} must be one plain address, such as name@example.com.")


def is_plain_address(text: str) -> bool:
    """Say whether this is one address with an ASCII local part and a domain with a dot, and nothing around it."""
    return len(text) <= ADDRESS_LIMIT_BYTES and _is_plain_address(text)


@lru_cache(1024)
def _is_plain_address(text: str) -> bool:
    try:
        validated = email_validator.validate_email(text, check_deliverability=False, allow_smtputf8=False)
    except (email_validator.EmailNotValidError, UnicodeError):
        return False
    # A last label of digits makes an IP address of it (RFC 3696 section 2), which is no domain.
    return "." in validated.ascii_domain and not validated.ascii_domain.rpartition(".")[2].isdigit()


def faults_of_word(field: str, value: object, words: type[StrEnum]) -> Iterator[FieldError]:
    """Check an optional word of a vocabulary; None and the empty text are none."""
    if value is None or value == "":
        return
    if not isinstance(value, str):
        yield FieldError(field, "wrong_type", f"{field} must be text.")
    elif value not in set(words):
        yield FieldError(field, "invalid_value", f"{field} must be one of {', '.join(words)}.")
