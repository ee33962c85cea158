"""docs/contract.md names every word of the vocabulary that a client sends or receives."""

from enum import StrEnum

import pytest

from delivery.rules.status_text import NEUTRAL_REASONS
from delivery.vocabulary import Channel, MessageType, Reason, Scope, State, Status, StatusReason
from tests.shape.codebase import read_text


@pytest.mark.parametrize("words", [Channel, MessageType, Reason, Scope, State, Status, StatusReason])
def test_the_contract_names_every_word_that_a_client_sends_or_receives(words: type[StrEnum]) -> None:
    contract = read_text("docs/contract.md")
    sent = [word for word in words if words is not Reason or str(word) in NEUTRAL_REASONS]

    assert [] == [word for word in sent if f"`{word}`" not in contract]
