"""What account holders choose, through the API or the unsubscribe page, outlives an import unless it is forced."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeAlias
from uuid import UUID

import httpx2
import pytest

from delivery.records.database import transaction
from delivery.records.identities import accounts, unsubscriptions
from delivery.records.identities.accounts import AccountFacts
from delivery.settings import Settings
from delivery.unsubscribe_tokens import LIFETIME, Permit, write_token
from delivery.vocabulary import Channel, MessageType
from tests.support.api_client import Headers
from tests.support.fixtures import Fixtures

Facts: TypeAlias = dict[str, object]
Import: TypeAlias = Callable[..., Any]
EMAIL, JOB = "email", (MessageType.JOB,)
FORCE = "--force-preferences"


@pytest.fixture
def import_row(import_file: Import) -> Import:
    """Return a function that imports these columns of one account."""

    def write_and_import(account_id: UUID, *options: str, **cells: str) -> Any:
        columns = {"uuid": account_id, "name": "Ada", "email": "ada@example.com", **cells}
        return import_file(f"{','.join(columns)}\n{','.join(map(str, columns.values()))}\n", *options)

    return write_and_import


def stored(fixtures: Fixtures, account_id: UUID) -> Facts:
    """Return the preferences that an import can set."""
    with transaction(fixtures.database) as db:
        facts = accounts.find_one(db, account_id)
    assert facts is not None
    return {"channel": facts.channel, "closed": facts.is_closed, "accepted_types": facts.accepted_types}


def unsubscribe(http: httpx2.Client, settings: Settings, account_id: UUID, **form: str) -> None:
    """Press a button of the account's unsubscribe page; without a form, as a mail program does."""
    token = write_token(Permit(account_id, datetime.now(UTC) + LIFETIME - timedelta(days=1)), settings.pepper)
    answer = http.post(f"/unsubscribe/{token}", data=form or {"List-Unsubscribe": "One-Click"})
    assert 200 == answer.status_code


def chosen(fixtures: Fixtures, account_id: UUID) -> list[object]:
    """Return what is recorded about who chose the three preferences."""
    (row,) = fixtures.run_sql(
        "SELECT is_channel_chosen, is_closed_chosen, are_types_chosen FROM preference WHERE account_id = :id",
        id=account_id,
    )
    return list(row)


@pytest.mark.parametrize(
    ("choice", "cells", "expected", "is_kept"),
    [
        ({"channel": "inbox"}, {"channel": EMAIL}, {}, True),
        ({"channel": "email"}, {"channel": "inbox"}, {"channel": EMAIL}, True),
        ({"channel": "email"}, {"channel": EMAIL}, {"channel": EMAIL}, False),
        ({"closed": True}, {"closed": "false"}, {"closed": True}, True),
        ({"closed": False}, {"closed": "true"}, {}, True),
        ({"accepted_types": ["job"]}, {"accepted_types": "job|rfq"}, {"accepted_types": JOB}, True),
        ({"accepted_types": []}, {"accepted_types": "job"}, {"accepted_types": ()}, True),
        # What the holder has not chosen is the platform's.
        ({"closed": True, "accepted_types": ["job"]}, {"channel": EMAIL},
         {"channel": EMAIL, "closed": True, "accepted_types": JOB}, False),
        ({"closed": True}, {"channel": EMAIL, "closed": "false"}, {"channel": EMAIL, "closed": True}, True),
        ({"muted_until": "2999-01-01T00:00:00Z", "channel": None}, {"channel": EMAIL}, {"channel": EMAIL}, False),
    ],
)  # fmt: skip
def test_a_choice_made_through_the_api_outlives_an_import_and_is_counted(  # noqa: PLR0917 - a table
    http: httpx2.Client,
    key: Headers,
    fixtures: Fixtures,
    import_row: Import,
    choice: Facts,
    cells: dict[str, str],
    expected: Facts,
    is_kept: bool,  # noqa: FBT001 - a column of the table
) -> None:
    account_id = fixtures.account()
    assert 200 == http.put(f"/accounts/{account_id}/preferences", json=choice, headers=key).status_code

    result = import_row(account_id, **cells)

    assert {"channel": "inbox", "closed": False, "accepted_types": None, **expected} == stored(fixtures, account_id)
    assert is_kept == ("1 account kept what the holder has chosen" in result.stdout)
    assert 0 == result.exit_code


def test_returning_to_a_default_is_a_choice(
    http: httpx2.Client, key: Headers, fixtures: Fixtures, import_row: Import
) -> None:
    account_id = fixtures.account()
    import_row(account_id, channel=EMAIL, closed="true", accepted_types="job")
    imported = chosen(fixtures, account_id)
    http.put(f"/accounts/{account_id}/preferences", json={"closed": True}, headers=key)

    result = import_row(account_id, channel=EMAIL, closed="false", accepted_types="job")

    assert [False] * 3 == imported
    assert {"channel": "inbox", "closed": True, "accepted_types": None} == stored(fixtures, account_id)
    assert "1 account kept" in result.stdout


def test_who_unsubscribed_stays_unsubscribed_and_the_rest_of_the_row_is_stored(
    http: httpx2.Client, settings: Settings, fixtures: Fixtures, import_row: Import
) -> None:
    account_id = fixtures.account(Channel.EMAIL)
    unsubscribe(http, settings, account_id)

    result = import_row(account_id, channel=EMAIL, accepted_types="job")

    assert {"channel": "inbox", "closed": False, "accepted_types": JOB} == stored(fixtures, account_id)
    assert (
        0,
        ["1 account stored (0 new, 1 replaced), 0 rows refused", "1 account kept what the holder has chosen"],
    ) == (
        result.exit_code,
        [line.removeprefix("postroom: ").partition(" against")[0] for line in result.stdout.splitlines()],
    )


def test_who_subscribed_again_on_the_page_stays_subscribed(
    http: httpx2.Client, settings: Settings, fixtures: Fixtures, import_row: Import
) -> None:
    account_id = fixtures.account(Channel.EMAIL)
    unsubscribe(http, settings, account_id)
    unsubscribe(http, settings, account_id, action="undo")

    import_row(account_id, channel="inbox")

    assert EMAIL == stored(fixtures, account_id)["channel"]


def test_who_unsubscribes_while_the_channel_is_the_inbox_stays_unsubscribed_too(
    http: httpx2.Client, settings: Settings, fixtures: Fixtures, import_row: Import
) -> None:
    account_id = fixtures.account(Channel.EMAIL)
    import_row(account_id, channel="inbox")
    unsubscribe(http, settings, account_id)

    import_row(account_id, channel=EMAIL)

    assert "inbox" == stored(fixtures, account_id)["channel"]


def test_an_account_that_had_no_preferences_can_unsubscribe_too(
    http: httpx2.Client, settings: Settings, fixtures: Fixtures, import_row: Import
) -> None:
    account_id = fixtures.account()
    fixtures.run_sql("DELETE FROM preference RETURNING account_id")
    unsubscribe(http, settings, account_id)

    import_row(account_id, channel=EMAIL, closed="true")

    assert {"channel": "inbox", "closed": True, "accepted_types": None} == stored(fixtures, account_id)


def test_a_forced_import_replaces_choices_and_the_next_one_may_change_them_again(
    http: httpx2.Client, key: Headers, settings: Settings, fixtures: Fixtures, import_row: Import
) -> None:
    account_id = fixtures.account(Channel.EMAIL)
    choice = {"channel": "email", "closed": True, "accepted_types": ["job"]}
    http.put(f"/accounts/{account_id}/preferences", json=choice, headers=key)
    unsubscribe(http, settings, account_id)

    forced = import_row(account_id, FORCE, channel=EMAIL, closed="false")
    after_force = stored(fixtures, account_id), chosen(fixtures, account_id)
    later = import_row(account_id, channel="inbox", closed="true", accepted_types="rfq")

    assert ({"channel": EMAIL, "closed": False, "accepted_types": JOB}, [False, False, True]) == after_force
    assert {"channel": "inbox", "closed": True, "accepted_types": JOB} == stored(fixtures, account_id)
    assert (1, 2) == (len(forced.stdout.splitlines()), len(later.stdout.splitlines()))


@pytest.mark.parametrize("is_per_row", [False, True])
def test_choices_are_counted_over_all_accounts_and_only_when_they_are_stored(
    fixtures: Fixtures,
    import_file: Import,
    is_per_row: bool,  # noqa: FBT001 - a parameter of pytest
) -> None:
    account_ids = fixtures.accounts(3, Channel.EMAIL)
    with transaction(fixtures.database) as db:
        for account_id in account_ids[:2]:
            unsubscriptions.stop_emails(db, account_id)
    rows = [f"{account_id},Ada,ada@example.com,email" for account_id in account_ids]
    content = "\n".join(["uuid,name,email,channel", *rows, "7,,,"])

    result = import_file(content, *(["--per-row"] if is_per_row else []))

    assert is_per_row == ("2 accounts kept what the holder has chosen" in result.stdout)
    assert 1 == result.exit_code


@pytest.mark.parametrize(
    ("before", "cells", "expected"),
    [
        # Perhaps imported, perhaps chosen: what limits messages is taken for a choice.
        ({}, {"channel": EMAIL}, {}),
        ({"is_closed": True, "accepted_types": JOB}, {"closed": "false", "accepted_types": "rfq"},
         {"closed": True, "accepted_types": JOB}),
        ({"channel": Channel.EMAIL}, {"channel": "inbox", "closed": "true", "accepted_types": "job"},
         {"closed": True, "accepted_types": JOB}),
    ],
)  # fmt: skip
def test_of_rows_of_an_earlier_version_what_limits_messages_is_kept(
    fixtures: Fixtures, import_row: Import, before: dict[str, Any], cells: dict[str, str], expected: Facts
) -> None:
    account_id = fixtures.account(**before)
    fixtures.run_sql(
        "UPDATE preference SET is_channel_chosen = NULL, is_closed_chosen = NULL, are_types_chosen = NULL "
        "RETURNING account_id"
    )

    import_row(account_id, **cells)

    assert {"channel": "inbox", "closed": False, "accepted_types": None, **expected} == stored(fixtures, account_id)


def test_types_in_another_order_are_no_other_choice(
    http: httpx2.Client, key: Headers, fixtures: Fixtures, import_row: Import
) -> None:
    account_id = fixtures.account()
    http.put(f"/accounts/{account_id}/preferences", json={"accepted_types": ["rfq", "job"]}, headers=key)

    result = import_row(account_id, accepted_types="job|rfq")

    assert "kept" not in result.stdout


def test_what_an_import_set_the_next_one_may_change(fixtures: Fixtures, import_row: Import) -> None:
    account_id = fixtures.account()
    fixtures.put(AccountFacts(account_id, "Ada", "ada@example.com"))

    import_row(account_id, channel=EMAIL, closed="true", accepted_types="job")
    result = import_row(account_id, channel="inbox", closed="false", accepted_types="rfq")

    assert {"channel": "inbox", "closed": False, "accepted_types": (MessageType.RFQ,)} == stored(fixtures, account_id)
    assert "kept" not in result.stdout


def test_an_import_that_keeps_every_choice_does_not_write_the_preferences(
    fixtures: Fixtures, http: httpx2.Client, settings: Settings, import_row: Import
) -> None:
    account_id = fixtures.account(Channel.EMAIL)
    unsubscribe(http, settings, account_id)
    # The transaction that wrote the row last.
    before = fixtures.run_sql("SELECT CAST(xmin AS text) FROM preference")

    import_row(account_id, channel=EMAIL, closed="false")

    assert before == fixtures.run_sql("SELECT CAST(xmin AS text) FROM preference")
