"""An import changes only what the file has: an absent column, an empty cell and a null keep the account's value."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, time
from typing import Any
from uuid import UUID

import pytest

from delivery.records.database import transaction
from delivery.records.identities import accounts
from delivery.records.identities.accounts import AccountFacts
from delivery.vocabulary import AccountStatus, Channel, MessageType, SenderRule
from tests.support.fixtures import Fixtures

Run = Callable[..., Any]
ONE, TWO, THREE = (UUID(f"0199aaaa-0000-7000-8000-00000000000{digit}") for digit in "1bc")
HEAD = "uuid,name,email"
ANNA, BO = f"{ONE},Anna,anna@example.com", f"{TWO},Bo,bo@example.com"
KEPT: dict[str, Any] = {
    "status": AccountStatus.SUSPENDED,
    "time_zone": "Europe/Berlin",
    "channel": Channel.EMAIL,
    "is_closed": True,
    "accepted_types": (MessageType.JOB,),
    "sender_rule": SenderRule.BLOCK,
    "senders": ("x@example.com",),
    "muted_until": datetime(2999, 1, 1, tzinfo=UTC),
    "quiet_hours": (time(22), time(7)),
}


def stored_accounts(fixtures: Fixtures, *account_ids: UUID) -> list[AccountFacts]:
    """Return these accounts in this order."""
    with transaction(fixtures.database) as db:
        found = {each.account_id: each for each in accounts.find(db, account_ids)}
    return [found[each] for each in account_ids]


@pytest.mark.parametrize(
    ("columns", "cells", "changed"),
    [
        ("", "", {}),
        (",channel", ",inbox", {"channel": Channel.INBOX}),
        (",closed", ",false", {"is_closed": False}),
        (",accepted_types", ",rfq|job", {"accepted_types": (MessageType.RFQ, MessageType.JOB)}),
        (",status", ",active", {"status": AccountStatus.ACTIVE}),
        (",time_zone", ",Asia/Tokyo", {"time_zone": "Asia/Tokyo"}),
        (",status,time_zone,channel,closed,accepted_types", ",,,,,", {}),
        (",status,time_zone,channel,closed,accepted_types", ', ,"",  , ,\t', {}),
        (",channel,closed,status", ",inbox,,", {"channel": Channel.INBOX}),
    ],
)
def test_an_import_changes_only_what_the_file_has(
    fixtures: Fixtures, import_file: Run, columns: str, cells: str, changed: dict[str, Any]
) -> None:
    fixtures.put(AccountFacts(ONE, "Old", "old@example.com", **KEPT))

    result = import_file(f"{HEAD}{columns}\n{ANNA}{cells}\n")

    assert "1 account stored (0 new, 1 replaced)" in result.stdout
    assert [AccountFacts(ONE, "Anna", "anna@example.com", **{**KEPT, **changed})] == stored_accounts(fixtures, ONE)


@pytest.mark.parametrize("empty", [{}, dict.fromkeys(["status", "time_zone", "channel", "closed", "accepted_types"])])
def test_a_key_that_is_absent_or_null_changes_nothing(
    fixtures: Fixtures, import_file: Run, empty: dict[str, object]
) -> None:
    fixtures.put(AccountFacts(ONE, "Old", "old@example.com", **KEPT))

    import_file(json.dumps({"uuid": str(ONE), "name": "Anna", "email": "anna@example.com", **empty}), name="a.jsonl")

    assert [AccountFacts(ONE, "Anna", "anna@example.com", **KEPT)] == stored_accounts(fixtures, ONE)


def test_rows_that_name_different_fields_are_stored_together(fixtures: Fixtures, import_file: Run) -> None:
    for account_id in (ONE, TWO):
        fixtures.put(AccountFacts(account_id, "Old", "old@example.com", **KEPT))
    rows = [f"{ANNA},active,,inbox", f"{BO},,UTC,", f"{THREE},Cy,cy@example.com,,UTC,email"]

    import_file("\n".join([f"{HEAD},status,time_zone,channel", *rows]))

    assert [
        AccountFacts(
            ONE, "Anna", "anna@example.com", **{**KEPT, "status": AccountStatus.ACTIVE, "channel": Channel.INBOX}
        ),
        AccountFacts(TWO, "Bo", "bo@example.com", **{**KEPT, "time_zone": "UTC"}),
        AccountFacts(THREE, "Cy", "cy@example.com", channel=Channel.EMAIL),
    ] == stored_accounts(fixtures, ONE, TWO, THREE)
