"""Deliver: try each recipient once, over its network channel or into its inbox, and record how it went."""

from collections.abc import Sequence
from functools import partial

import structlog

from delivery.crash_points import CrashPoint, crash_here
from delivery.records.database import transaction
from delivery.records.pipeline import claims, transitions
from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.rules.outcomes import Outcome, next_transition, resolve_without_network
from delivery.rules.preferences import choose_channel
from delivery.rules.transitions import Transition
from delivery.vocabulary import Channel
from tasks.context import StepContext, apply_unknown_policy

_log = structlog.get_logger()


def deliver(context: StepContext, recipient_ids: Sequence[int]) -> None:
    """Try each of these recipients once. No transaction is open while the network is asked."""
    with context.isolation_gate.shared():
        _attempt(context, context.claim_commits.submit(recipient_ids, partial(_claim, context)))


def deliver_isolated(context: StepContext, recipient_ids: Sequence[int]) -> None:
    """Try each of these once, while this worker has nothing else under way: workers have died of them.

    Once the worker leaves, the rest stays due.
    """
    for recipient_id in recipient_ids:
        if context.fan_out.is_stopping:
            return
        with context.isolation_gate.exclusive():
            (letters,) = _claim(context, [[recipient_id]], is_isolated=True)
            _attempt(context, letters)


def _attempt(context: StepContext, letters: Sequence[ClaimedDelivery]) -> None:
    crash_here(CrashPoint.CLAIM_COMMITTED)
    judged = [
        (claimed, check_preferences(claimed)) for claimed in letters
    ]  # Those not claimed are settled or in other hands.
    _record(context, [(claimed, outcome) for claimed, outcome in judged if isinstance(outcome, Outcome)])
    for claimed, channel in judged:
        if isinstance(channel, Channel):
            _record(context, [(claimed, context.senders[channel].send(claimed))])


def check_preferences(claimed: ClaimedDelivery) -> Outcome | Channel:
    """Ask the preferences of this very moment: how the attempt ends without a network, or the channel to send by."""
    choice = choose_channel(claimed.sender, claimed.preference, now=claimed.read_at)
    return resolve_without_network(choice, claimed.channel)


def _claim(
    context: StepContext, asked: Sequence[Sequence[int]], *, is_isolated: bool = False
) -> list[list[ClaimedDelivery]]:
    """Claim in one transaction what several runs ask for. Whoever asks second for a recipient does not get it."""
    wanted = sorted({each for recipient_ids in asked for each in recipient_ids})
    with transaction(context.database) as db:
        token = claims.make_token(context.worker_id)
        letters = claims.claim(db, wanted, token=token, lease=context.settings.lease, is_isolated=is_isolated)
        crash_here(CrashPoint.CLAIM_WRITTEN)
    claimed = {claimed.recipient_id: claimed for claimed in letters}
    return [[claimed.pop(each) for each in recipient_ids if each in claimed] for recipient_ids in asked]


def _record(context: StepContext, ended: Sequence[tuple[ClaimedDelivery, Outcome]]) -> None:
    """Record how these attempts ended, all or none."""
    if not ended:
        return
    made = [_next_transition(context, claimed, outcome) for claimed, outcome in ended]
    recorded = context.outcome_commits.submit(made, partial(_move, context))
    crash_here(CrashPoint.OUTCOME_COMMITTED)
    for claimed, _ in ended:
        context.journal.forget((claimed.recipient_id, claimed.attempt))
        if claimed.recipient_id not in recorded:  # Its lease ran out meanwhile and somebody else answers for it now.
            _log.warning("outcome_fenced", recipient_id=claimed.recipient_id, attempt=claimed.attempt)


def _move(context: StepContext, made: Sequence[Sequence[Transition]]) -> list[set[int]]:
    """Make in one transaction the moves of several runs; answer to each which recipients have moved."""
    together = [move for moves_of_one in made for move in moves_of_one]
    with transaction(context.database) as db:
        recorded = transitions.apply_transitions(db, together)
        crash_here(CrashPoint.OUTCOME_WRITTEN)
    return [recorded] * len(made)


def _next_transition(context: StepContext, claimed: ClaimedDelivery, outcome: Outcome) -> Transition:
    ended = apply_unknown_policy(outcome, context.settings)
    return next_transition(claimed.attempted, ended, context.jitter(), patience=context.settings.send_deadline)
