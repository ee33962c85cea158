"""docs/contract.md names every word that a client can meet."""

from enum import StrEnum

import pytest

from delivery.vocabulary import Channel, MessageType, Reason, Scope, State, Status, StatusReason
from tests.shape.codebase import ROOT


@pytest.mark.parametrize("words", [Channel, MessageType, Reason, Scope, State, Status, StatusReason])
def test_the_contract_names_every_word_of_the_vocabulary_that_a_client_can_meet(words: type[StrEnum]) -> None:
    contract = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")

    assert [] == [word for word in words if f"`{word}`" not in contract]
