"""A failed step is described by its place in our code and its words, without the values that it is about."""

import pytest
from sqlalchemy.exc import DataError, ProgrammingError

from delivery.intake.uuids import read_uuid
from tasks.step_failures import place_of, words_of


def test_the_place_is_the_last_frame_in_our_code() -> None:
    with pytest.raises(TypeError) as found:
        read_uuid(7)  # type: ignore[arg-type] # it is misused on purpose

    file, _, line = place_of(found.value).partition(":")
    assert ("delivery/intake/uuids.py", True) == (file, line.isdecimal())


def test_an_error_that_is_not_in_our_code_has_no_place() -> None:
    assert "unknown" == place_of(ValueError("made here"))


class _Diagnosis:
    message_primary = 'column "subjct" does not exist at ada@example.org'


class _PostgresError(Exception):
    diag = _Diagnosis()

    def __init__(self, sqlstate: str) -> None:
        super().__init__("the text holds parameters: ('Dear Ada',)")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            ValueError("context and keyfile arguments are mutually exclusive"),
            "context and keyfile arguments are mutually exclusive",
        ),
        (
            ValueError("invalid literal for int() with base 10: 'dear \"Ada\"'"),
            "invalid literal for int() with base 10: [...]",
        ),
        (KeyError("subject of a message"), "[...]"),
        (ValueError("no mailbox ada@example.org here"), "no mailbox [address] here"),
        (TypeError("can't do that"), "can't do that"),
        (
            ProgrammingError("INSERT", {"body": "Dear Ada"}, _PostgresError("42703")),
            "42703 _PostgresError: column [...]",
        ),
        (DataError("INSERT", {"body": "Dear Ada"}, _PostgresError("22P02")), "22P02 _PostgresError"),
    ],
)
def test_words_hold_no_value(error: Exception, words: str) -> None:
    assert words == words_of(error)
