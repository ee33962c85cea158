"""The rules that fields of every kind share: text, addresses, words. Each finds at most one fault in a value."""

import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum

import email_validator

from delivery.intake.faults import Fault

ADDRESS_LIMIT_BYTES = 254

# Reserved domains (.test, .localhost) are as plain as any; whether they deliver is the relay's answer. This is the
# documented way to say so.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()

_LINE_BREAKS_IN_BODY = frozenset("\t\n")
# Zl and Zp are U+2028 and U+2029. The bidirectional controls can make one line read as another (Unicode TR 36).
_CONTROL_CATEGORIES = frozenset({"Cc", "Zl", "Zp"})
# Invisible although Unicode calls them letters, marks or symbols: the Hangul and Khmer fillers, the grapheme joiner and
# the variation selectors (Default_Ignorable_Code_Point in DerivedCoreProperties), and the empty Braille cell.
_WITHOUT_PICTURE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def faults_of_text(field: str, value: object, limit: int, *, is_body: bool = False) -> Iterator[Fault]:
    """Check a required text of at most `limit` code points; only a body may have tabs and line breaks."""
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


def faults_of_address(field: str, value: object) -> Iterator[Fault]:
    """Check an optional address; None and the empty text are none."""
    if value is None or value == "":
        return
    if not isinstance(value, str):
        yield Fault(field, "wrong_type", f"{field} must be text.")
    elif len(value.encode("utf-8", "surrogatepass")) > ADDRESS_LIMIT_BYTES:
        yield Fault(field, "too_long", f"{field} has more than {ADDRESS_LIMIT_BYTES} bytes.")
    elif not is_plain_address(value):
        yield Fault(field, "invalid_email", f"{field} must be one plain address, such as name@example.com.")


def is_plain_address(text: str) -> bool:
    """Say whether this is one address with an ASCII local part and a domain with a dot, and nothing around it."""
    try:
        validated = email_validator.validate_email(text, check_deliverability=False, allow_smtputf8=False)
    except (email_validator.EmailNotValidError, UnicodeError):
        return False
    # A last label of digits makes an IP address of it (RFC 3696 section 2), which is no domain.
    return "." in validated.ascii_domain and not validated.ascii_domain.rpartition(".")[2].isdigit()


def faults_of_word(field: str, value: object, words: type[StrEnum]) -> Iterator[Fault]:
    """Check an optional word of a vocabulary; None and the empty text are none."""
    if value is None or value == "":
        return
    if not isinstance(value, str):
        yield Fault(field, "wrong_type", f"{field} must be text.")
    elif value not in set(words):
        yield Fault(field, "invalid_value", f"{field} must be one of {', '.join(words)}.")
