"""An office to work in: a real database, noted bells and a mail relay that only listens."""

import pytest

from delivery.records.engine import Store
from delivery.settings import Settings
from delivery.vocabulary import Channel
from tasks.office import Office
from tests.book import Book
from tests.crank import Crank, FakeSender, NotedBells

HELD_PHRASE = "wire the money"


@pytest.fixture
def settings(base_settings: Settings) -> Settings:
    """Give settings under which one phrase sends a message to staff."""
    return base_settings.model_copy(update={"hold_phrases": HELD_PHRASE})


@pytest.fixture
def book(store: Store) -> Book:
    """Give the records, empty but for one client."""
    return Book(store)


@pytest.fixture
def bells() -> NotedBells:
    """Give a doorbell that only notes who rang."""
    return NotedBells()


@pytest.fixture
def relay() -> FakeSender:
    """Give a mail relay that takes everything."""
    return FakeSender()


@pytest.fixture
def office(settings: Settings, store: Store, bells: NotedBells, relay: FakeSender) -> Office:
    """Give an office without chance: every wait is the full wait."""
    return Office(settings, store, bells, {Channel.EMAIL: relay}, chance=lambda: 0.0)


@pytest.fixture
def crank(office: Office, bells: NotedBells) -> Crank:
    """Give what takes bells to their steps."""
    return Crank(office, bells)
