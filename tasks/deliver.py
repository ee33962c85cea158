"""Deliver: try each recipient once, over its network channel, and record how it went."""

from collections.abc import Sequence

import structlog
from uuid_utils.compat import uuid7

from delivery.records import claims, moves
from delivery.records.claims import Letter
from delivery.records.engine import transaction
from delivery.rules.outcomes import Kind, Outcome, conclude
from delivery.rules.preferences import choose_channel
from delivery.vocabulary import Channel, State
from tasks.office import Office

_log = structlog.get_logger()


def deliver(office: Office, recipient_ids: Sequence[int]) -> None:
    """Try each of these recipients once. No transaction is open while the network is asked."""
    with transaction(office.store) as db:
        letters = claims.claim(db, recipient_ids, token=uuid7(), lease=office.settings.lease)
    for letter in letters:  # A recipient that was not claimed is settled or in other hands: the bell rang twice.
        outcome = attempt(office, letter)
        with transaction(office.store) as db:
            recorded = moves.record(db, [conclude(letter.attempted, outcome, office.chance())])
        if not recorded:  # The lease ran out meanwhile and somebody else answers for this recipient now.
            _log.warning("outcome_fenced", recipient_id=letter.recipient_id, attempt=letter.attempt)


def attempt(office: Office, letter: Letter) -> Outcome:
    """Ask the preferences of this very moment, then send, or say why not."""
    choice = choose_channel(letter.type, letter.preference)
    if choice.state is State.BLOCKED:
        return Outcome(Kind.UNWANTED, choice.reason)
    if choice.channel is None:
        return Outcome(Kind.PERMANENT, choice.reason)
    if choice.channel is Channel.INBOX:  # Moved to the inbox since it was queued: the outcome itself delivers it.
        return Outcome(Kind.SENT, channel=Channel.INBOX)
    return office.senders[choice.channel].send(letter)
