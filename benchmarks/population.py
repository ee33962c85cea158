"""The accounts and messages of the benchmarks: 10,000 accounts, one in twenty closed, and messages by seed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from uuid_utils.compat import uuid7

ACCOUNTS = 10_000
_CLOSED_SHARE = 0.05
_BODY_BYTES = 2000
BODY = ("A translation of some length, please. " * (_BODY_BYTES // 38 + 1))[:_BODY_BYTES]


@dataclass(frozen=True, slots=True)
class Order:
    """One message to send: its id and its recipients."""

    account_ids: tuple[UUID, ...]
    message_id: UUID = field(default_factory=uuid7)


@dataclass(frozen=True, slots=True)
class Population:
    """All accounts, the closed ones among them, and the client that writes to them."""

    account_ids: tuple[UUID, ...]
    closed_ids: frozenset[UUID]
    client_id: UUID

    def orders(self, messages: int, recipients: int, *, seed: int) -> list[Order]:
        """Draw messages to so many recipients each. One seed always draws the same recipients."""
        rng = random.Random(seed)  # noqa: S311 - the same recipients for every contender
        return [Order(tuple(rng.sample(self.account_ids, recipients))) for _ in range(messages)]


def populate() -> Population:
    """Make the accounts."""
    account_ids: Sequence[UUID] = [uuid7() for _ in range(ACCOUNTS)]
    closed = random.Random(20).sample(account_ids, int(ACCOUNTS * _CLOSED_SHARE))  # noqa: S311 - no secret
    return Population(tuple(account_ids), frozenset(closed), uuid7())
