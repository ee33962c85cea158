"""`postroom accounts` imports files as a whole or row by row, and reports every refused row with its line."""

import json
from collections.abc import Callable
from datetime import time
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from delivery.records.database import transaction
from delivery.records.identities import accounts
from delivery.records.identities.accounts import AccountFacts
from delivery.vocabulary import AccountStatus, Channel, MessageType, SenderRule
from tests.support.fixtures import Fixtures
from worker.cli.app import app

Run = Callable[..., Any]
ONE, TWO, THREE = (f"0199aaaa-0000-7000-8000-00000000000{digit}" for digit in "1bc")
HEAD = "uuid,name,email"
ANNA, BO = f"{ONE},Anna,anna@example.com", f"{TWO},Bo,bo@example.com"


@pytest.fixture
def run(command: Run) -> Run:
    """Return the command `postroom accounts`."""
    return partial(command, app, "accounts")


def stored_accounts(fixtures: Fixtures, *account_ids: str) -> list[AccountFacts]:
    """Return these accounts in this order, without those that do not exist."""
    with transaction(fixtures.database) as db:
        found = {str(each.account_id): each for each in accounts.find(db, [UUID(each) for each in account_ids])}
    return [found[each.lower()] for each in account_ids if each.lower() in found]


def join_lines(*single: str) -> str:
    """Join lines to the content of a file."""
    return "".join(f"{line}\n" for line in single)


FULL = AccountFacts(
    UUID(ONE),
    "Anna, the \u201cfirst\u201d",
    "anna@example.com",
    AccountStatus.SUSPENDED,
    "Europe/Berlin",
    channel=Channel.EMAIL,
    is_closed=True,
    accepted_types=(MessageType.JOB, MessageType.RFQ),
)
PLAIN = AccountFacts(UUID(TWO), "Bo", "bo@example.com")


@pytest.mark.parametrize("byte_order_mark", ["", "\ufeff"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_csv_file_is_stored(fixtures: Fixtures, import_file: Run, byte_order_mark: str, line_end: str) -> None:
    rows = [
        f"{HEAD},status,shoe size,time_zone,channel,closed,accepted_types",
        f'{ONE},"Anna, the \u201cfirst\u201d",anna@example.com,suspended,39,Europe/Berlin,email,TRUE,job|rfq',
        f"{TWO.upper()},Bo,bo@example.com,,,,,,",
        "",
    ]

    result = import_file(byte_order_mark + line_end.join(rows))

    assert (0, "postroom: 2 accounts stored (2 new, 0 replaced), 0 rows refused\n") == (result.exit_code, result.stdout)
    assert [FULL, PLAIN] == stored_accounts(fixtures, ONE, TWO)


def test_a_file_of_json_lines_is_stored(fixtures: Fixtures, import_file: Run) -> None:
    first = {
        "uuid": ONE, "name": FULL.name, "email": FULL.email, "status": "suspended", "time_zone": "Europe/Berlin",
        "channel": "email", "closed": True, "accepted_types": ["job", "rfq"], "shoe_size": 39,
    }  # fmt: skip
    second = {"uuid": TWO, "name": "Bo", "email": "bo@example.com", "closed": None}

    result = import_file(join_lines(json.dumps(first), "", json.dumps(second)), name="accounts.jsonl")

    assert 0 == result.exit_code
    assert [FULL, PLAIN] == stored_accounts(fixtures, ONE, TWO)


@pytest.mark.parametrize("options", [[], ["--per-row"]])
@pytest.mark.parametrize("blank", [",,", "", ' ,"",\t', ",,,,,", '"\n",,', "\u00a0,\u3000,"])
def test_a_row_with_nothing_in_any_cell_is_no_row(
    fixtures: Fixtures, import_file: Run, blank: str, options: list[str]
) -> None:
    result = import_file(join_lines(HEAD, blank, ANNA, blank, blank), *options)

    assert (0, "postroom: 1 account stored (1 new, 0 replaced), 0 rows refused\n") == (result.exit_code, result.stdout)
    assert ["Anna"] == [each.name for each in stored_accounts(fixtures, ONE)]


def test_a_blank_row_counts_as_a_line(import_file: Run) -> None:
    result = import_file(join_lines(HEAD, ",,", '" \n",,', "7,Anna,anna@example.com"))

    assert result.stderr.startswith("line 5: uuid: invalid_uuid")


def test_a_column_without_a_name_is_not_reported(import_file: Run) -> None:
    result = import_file(join_lines(f"{HEAD},,", f"{ANNA},,"))

    assert (0, "") == (result.exit_code, result.stderr)


def test_a_quote_that_never_closes_is_reported_where_it_opens(fixtures: Fixtures, import_file: Run) -> None:
    rows = [f"{uuid7()},Nr {number},nr{number}@example.com" for number in range(4000)]

    result = import_file(join_lines(HEAD, f'{ONE},"Jane,jane@example.com', *rows))

    assert "line 2 is not CSV: a quote opens there and does not close within 128 KiB." in result.stderr
    assert 0 == fixtures.count("account")


BROKEN = join_lines(
    f"{HEAD},channel,closed,accepted_types",
    f"{ANNA},,,",
    f'{TWO},"Bo\nof two lines",bo,pigeon,maybe,job|spam',
    "7,Cy,cy@example.com,,,",
    f"{ONE.upper()},Anna again,anna@example.com,,,",
    f"{THREE},Di,di@example.com",
    ",,,,maybe,",
)
SPAM = "Entry 1 (counted from 0) of accepted_types"
ERRORS = [
    f"line 3: accepted_types[1]: invalid_value: {SPAM} must be one of rfq, job, other.",
    "line 3: channel: invalid_value: channel must be one of inbox, email.",
    "line 3: closed: wrong_type: closed must be true or false.",
    "line 3: email: invalid_email: email must be one plain address, such as name@example.com.",
    "line 3: name: forbidden_character: name must not contain line breaks, control or text-direction characters.",
    "line 5: uuid: invalid_uuid: uuid is not of the form 8-4-4-4-12 hexadecimal digits.",
    "line 6: uuid: duplicate_key: line 2 has the same uuid.",
    "line 7: invalid_value: it has 3 cells, but line 1 has 6.",
    "line 8: closed: wrong_type: closed must be true or false.",
    "line 8: email: blank: email has no visible text.",
    "line 8: name: blank: name has no visible text.",
    "line 8: uuid: required: uuid is missing.",
]  # fmt: skip


def test_every_error_of_every_row_is_reported_with_its_line_and_nothing_is_stored(
    fixtures: Fixtures, import_file: Run
) -> None:
    result = import_file(BROKEN)

    assert ERRORS == result.stderr.splitlines()
    assert (1, "postroom: 0 accounts stored (0 new, 0 replaced), 5 rows refused\n") == (result.exit_code, result.stdout)
    assert 0 == fixtures.count("account")


def test_per_row_the_valid_rows_are_stored_and_the_command_still_fails(fixtures: Fixtures, import_file: Run) -> None:
    result = import_file(BROKEN, "--per-row")

    assert ERRORS == result.stderr.splitlines()
    assert (1, "postroom: 1 account stored (1 new, 0 replaced), 5 rows refused\n") == (result.exit_code, result.stdout)
    assert ["Anna"] == [each.name for each in stored_accounts(fixtures, ONE, TWO, THREE)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", f"{HEAD},phone,Kanal\n{ANNA},1,2\n{BO},1,2\n"),
        ("a.jsonl", f'{{"uuid": "{ONE}", "name": "Anna", "email": "a@example.com", "phone": 1, "Kanal": 2}}\n'),
    ],
)
def test_columns_that_accounts_do_not_have_are_named_once(import_file: Run, name: str, content: str) -> None:
    result = import_file(content, name=name)

    assert 0 == result.exit_code
    message = "Nothing was read from columns or keys that an account does not have: phone, Kanal."
    assert [message] == result.stderr.splitlines()


def test_a_line_that_is_not_json_is_a_refused_row(fixtures: Fixtures, import_file: Run) -> None:
    good = json.dumps({"uuid": ONE, "name": "Anna", "email": "anna@example.com"})
    rows = [good, "{", "[]", '{"a": 1, "a": 2}', '{"uuid": 7, "name": "\\ud800", "email": {}, "closed": 0}', good]

    result = import_file(join_lines(*rows), "--per-row", name="accounts.jsonl")

    found = [" ".join(line.split(": ")[:-1]) for line in result.stderr.splitlines()]
    assert [
        "line 2 invalid_json",
        "line 3 not_an_object",
        "line 4 duplicate_key",
        "line 5 invalid_encoding",
        "line 6 uuid duplicate_key",
    ] == found
    assert 1 == fixtures.count("account")


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (b"", "a.csv", "line 1 must name the columns, separated by commas. Missing: uuid, name, email."),
        (
            b"uuid;name;email\n",
            "a.csv",
            "line 1 must name the columns, separated by commas. Missing: uuid, name, email.",
        ),
        (b"uuid\tname\temail\n", "a.csv", "line 1 must name the columns, separated by commas."),
        (b"sep=;\nuuid;name;email\n", "a.csv", "line 1 must name the columns, separated by commas."),
        (b"\n\nuuid,name,email\n", "a.csv", "line 1 must name the columns, separated by commas."),
        ("uuid,name,email\n".encode("utf-16-le"), "a.csv", "line 1 holds NUL characters, as UTF-16 does."),
        ("uuid,name,email\n".encode("utf-16"), "a.csv", "line 1 is not UTF-8 text. Save the file as UTF-8."),
        (b"uuid,name,email\r" * 3, "a.csv", "line 1 is not CSV: a line ends with CR alone."),
        (f"{HEAD}\n{ONE},Zo\u00eb,x".encode("latin-1"), "a.csv", "line 2 is not UTF-8 text."),
        (b"uuid,name,email,name\n", "a.csv", "line 1 names a column twice."),
        (bytes(range(256)) * 10, "a.csv", "line 1 holds NUL characters"),
        (b"\xff\xfeu\x00u\x00", "a.csv", "line 1 is not UTF-8 text. Save the file as UTF-8."),
        (b"uuid,name,email\n" + b"\x80" * 10, "a.jsonl", "line 2 is not UTF-8 text. Save the file as UTF-8."),
        (b"x" * 200_000, "a.csv", "line 1 is longer than 64 KiB. Is this a file of accounts?"),
        (b"\x00" * 200_000, "a.jsonl", "line 1 is longer than 64 KiB. Is this a file of accounts?"),
        (f'{HEAD}\n{ONE},"An"na,x'.encode(), "a.csv", "line 2 is not CSV: "),
        (f'{HEAD}\n{ONE},"Anna,x\n'.encode() + b"y\n" * 99_999, "a.csv", "is not CSV: "),
    ],
)
def test_a_file_without_accounts_is_refused_with_a_sentence(
    fixtures: Fixtures, import_file: Run, content: bytes, name: str, sentence: str
) -> None:
    result = import_file(content, name=name)

    assert 1 == result.exit_code
    assert sentence in result.stderr
    assert "Traceback" not in result.output
    assert 0 == fixtures.count("account")


def test_a_file_of_another_kind_or_a_missing_file_is_a_usage_error(run: Run, import_file: Run) -> None:
    results = [import_file("x", name="accounts.xlsx"), run("import", "nowhere.csv")]

    assert [2, 2] == [result.exit_code for result in results]
    assert ".csv or .jsonl" in results[0].stderr


def test_at_most_the_first_hundred_refused_rows_are_printed(import_file: Run) -> None:
    result = import_file(join_lines(HEAD, *(f"{number},Anna,anna@example.com" for number in range(250))))

    errors = result.stderr.splitlines()
    assert (101, "... and 150 more rows refused.") == (len(errors), errors[-1])
    assert "250 rows refused" in result.stdout


def test_more_rows_than_fit_into_one_statement_are_stored_together_or_not_at_all(
    fixtures: Fixtures, import_file: Run
) -> None:
    rows = [f"{uuid7()},Nr {number},nr{number}@example.com" for number in range(6000)]

    refused = import_file(join_lines(HEAD, *rows, "7,Anna,anna@example.com"))
    after_refusal = fixtures.count("account")
    stored = import_file(join_lines(HEAD, *rows))

    assert (1, 0, 0, 6000) == (refused.exit_code, after_refusal, stored.exit_code, fixtures.count("account"))


def test_an_account_is_shown_as_text_and_as_json(fixtures: Fixtures, run: Run) -> None:
    preferences: dict[str, Any] = {"sender_rule": SenderRule.BLOCK, "senders": ("x@example.com",)}
    account_id = fixtures.account(
        name="A\x1b[31mda", quiet_hours=(time(22), time(7)), time_zone="Europe/Berlin", **preferences
    )

    text, parsed = run("show", account_id), json.loads(run("show", account_id, "--json").stdout)

    assert "\x1b" not in text.stdout
    assert "Quiet hours:   22:00 to 07:00" in text.stdout
    assert "Senders:       block x@example.com" in text.stdout
    assert (str(account_id), "inbox", {"from": "22:00", "until": "07:00"}, ["x@example.com"], None) == (
        parsed["uuid"],
        parsed["channel"],
        parsed["quiet_hours"],
        parsed["blocked_senders"],
        parsed["allowed_senders"],
    )


@pytest.mark.parametrize(("account", "code"), [(uuid7(), 1), ("7", 2)])
def test_a_missing_account_is_reported_as_missing(run: Run, account: object, code: int) -> None:
    result = run("show", account)

    assert code == result.exit_code
    assert str(account) in result.stderr
