"""Deliver: try each recipient once, over its network channel or into its inbox, and record how it went."""

from collections.abc import Sequence

import structlog

from delivery.crashing import CrashPoint, crash_here
from delivery.records import claims, moves
from delivery.records.claims import Letter
from delivery.records.engine import transaction
from delivery.rules.deciding import Move
from delivery.rules.outcomes import Outcome, conclude, settle
from delivery.rules.preferences import choose_channel
from delivery.vocabulary import Channel
from tasks.office import Office, hold_unknown

_log = structlog.get_logger()


def deliver(office: Office, recipient_ids: Sequence[int]) -> None:
    """Try each of these recipients once. No transaction is open while the network is asked."""
    token = claims.make_token(office.worker_id)
    with transaction(office.store) as db:
        letters = claims.claim(db, recipient_ids, token=token, lease=office.settings.lease)
        crash_here(CrashPoint.CLAIM_WRITTEN)
    crash_here(CrashPoint.CLAIM_COMMITTED)
    judged = [(letter, judge(letter)) for letter in letters]  # Those not claimed are settled or in other hands.
    _record(office, [(letter, outcome) for letter, outcome in judged if isinstance(outcome, Outcome)])
    for letter, channel in judged:
        if isinstance(channel, Channel):
            _record(office, [(letter, office.senders[channel].send(letter))])


def judge(letter: Letter) -> Outcome | Channel:
    """Ask the preferences of this very moment: how the attempt ends without a network, or the channel to send by."""
    choice = choose_channel(letter.approach, letter.preference, now=letter.read_at)
    return settle(choice, letter.channel)


def _record(office: Office, ended: Sequence[tuple[Letter, Outcome]]) -> None:
    """Record in one transaction how these attempts ended."""
    if not ended:
        return
    with transaction(office.store) as db:
        recorded = moves.record(db, [_conclude(office, letter, outcome) for letter, outcome in ended])
        crash_here(CrashPoint.OUTCOME_WRITTEN)
    crash_here(CrashPoint.OUTCOME_COMMITTED)
    for letter, _ in ended:
        office.notes.forget((letter.recipient_id, letter.attempt))
        if letter.recipient_id not in recorded:  # Its lease ran out meanwhile and somebody else answers for it now.
            _log.warning("outcome_fenced", recipient_id=letter.recipient_id, attempt=letter.attempt)


def _conclude(office: Office, letter: Letter, outcome: Outcome) -> Move:
    ended = hold_unknown(outcome, office.settings)
    return conclude(letter.attempted, ended, office.chance(), patience=office.settings.send_deadline)
