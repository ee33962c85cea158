"""Links to the unsubscribe page, and what its pages show and do."""

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import httpx2

from delivery.intake.accounts import Preferences
from delivery.records.database import transaction
from delivery.records.identities import accounts
from delivery.settings import Settings
from delivery.unsubscribe_tokens import LIFETIME, Permit, unsubscribe_address, write_token
from delivery.vocabulary import Channel
from tests.support.fixtures import Fixtures

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


def path(account_id: UUID, settings: Settings, *, age: timedelta = timedelta()) -> str:
    """Return the path in an e-mail of this age."""
    return f"/unsubscribe/{write_token(Permit(account_id, datetime.now(UTC) - age + LIFETIME), settings.pepper)}"


def path_of_address(address: str, account_id: UUID, settings: Settings) -> str:
    """Return the path in an e-mail that was sent to this address."""
    url = unsubscribe_address("https://post.example", account_id, datetime.now(UTC), settings.pepper, address)
    return str(url).removeprefix("https://post.example")


def choose(fixtures: Fixtures, account_id: UUID, channel: Channel) -> None:
    """Choose a channel on the platform."""
    with transaction(fixtures.database) as db:
        accounts.put_preferences(db, {account_id: Preferences(channel=channel, is_closed=True)})


def channel_of(fixtures: Fixtures, account_id: UUID) -> Channel:
    """Return the channel of an account."""
    with transaction(fixtures.database) as db:
        (facts,) = accounts.find(db, [account_id])
    assert facts.is_closed  # What is not about e-mails stays as it was.
    return facts.channel


def heading(answer: httpx2.Response) -> str:
    """Return the heading of a page."""
    (found,) = re.findall("<h1>(.*)</h1>", answer.text)
    return str(found)


def button(answer: httpx2.Response) -> dict[str, str]:
    """Return what the button of a page sends."""
    ((name, value),) = re.findall('<button name="([^"]+)" value="([^"]+)">', answer.text)
    return {name: value}
