"""Try each recipient once, over its network channel or into its inbox, and record the outcome."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from functools import partial

import structlog

from delivery.crash_points import CrashPoint, crash_here
from delivery.records.database import DATABASE_UNAVAILABLE, transaction
from delivery.records.pipeline import claims, siblings, transitions
from delivery.records.pipeline.claims import ClaimedDelivery
from delivery.rules.outcomes import Outcome, OutcomeKind, next_transition, resolve_without_network
from delivery.rules.preferences import choose_channel
from delivery.rules.same_mailbox import ASKING_REASONS, follow
from delivery.rules.transitions import Transition
from delivery.vocabulary import Channel, Reason
from tasks.context import StepContext, apply_unknown_policy

_log = structlog.get_logger()


def deliver(context: StepContext, recipient_ids: Sequence[int]) -> None:
    """Try each of these recipients once, if it can be claimed now. No transaction is open during a network call.

    While a channel is away none is claimed: the sweep takes them when it is back.
    Safe to run twice: a recipient that cannot be claimed (`claims.claim`) is skipped.
    """
    with _turn(context) as is_granted:
        if not is_granted:
            return
        with context.isolation_gate.shared():
            _deliver_claimed(context, context.claim_commits.submit(recipient_ids, partial(_claim, context)))


def deliver_isolated(context: StepContext, recipient_ids: Sequence[int]) -> None:
    """Try each of these once, while this worker delivers to no other recipient, because workers have crashed on them.

    Once the worker stops or a channel is away, the rest stays due. Safe to run twice, as `deliver` is.
    """
    for recipient_id in recipient_ids:
        with _turn(context) as is_granted:
            if not is_granted:
                return
            with context.isolation_gate.exclusive():
                (deliveries,) = _claim(context, [[recipient_id]], is_isolated=True)
                _deliver_claimed(context, deliveries)


@contextmanager
def _turn(context: StepContext) -> Iterator[bool]:
    """Wait for a turn at every channel. Yields False when one is away or the worker stops: then claim nothing."""
    with ExitStack() as turns:
        is_granted = all(turns.enter_context(each.turn()) for each in context.senders.values())
        yield is_granted and not context.fan_out.is_stopping


def _deliver_claimed(context: StepContext, deliveries: Sequence[ClaimedDelivery]) -> None:
    """Deliver to these. If a defect of ours breaks that, give back the claims of those that nothing was sent to."""
    try:
        _deliver_each(context, deliveries)
    except DATABASE_UNAVAILABLE:  # No claim can be given back now.
        raise
    except Exception:
        _give_back(context, deliveries)
        raise


def _deliver_each(context: StepContext, deliveries: Sequence[ClaimedDelivery]) -> None:
    """Check preferences and limits of all first, and record together the attempts that end without a network."""
    crash_here(CrashPoint.CLAIM_COMMITTED)
    checked = context.recipient_limits.check([(claimed, _check(context, claimed)) for claimed in deliveries])
    _record(context, [(claimed, outcome) for claimed, outcome in checked if isinstance(outcome, Outcome)])
    for claimed, channel in checked:
        if isinstance(channel, Channel):
            _record(context, [(claimed, context.senders[channel].send(claimed))])


def _give_back(context: StepContext, deliveries: Sequence[ClaimedDelivery]) -> None:
    """Return the claims that are still open and whose mail cannot be at the relay, as if they had not been made.

    Until the final dot the relay has taken nothing (RFC 5321 4.1.1.4), and no other thread works on these claims.
    """
    pause = timedelta(seconds=context.settings.step_pause_s)
    untried = Outcome(OutcomeKind.UNTRIED, Reason.STEP_FAILED, due_in=pause)
    ends = [
        _next_transition(context, each, untried)
        for each in deliveries
        if each.channel is Channel.INBOX or not context.journal.may_have_ended((each.recipient_id, each.attempt))
    ]
    with transaction(context.database) as db:
        transitions.apply_transitions(db, ends)


def _check(context: StepContext, claimed: ClaimedDelivery) -> Outcome | Channel:
    """Return how the attempt ends without a network, perhaps by another mail to the address, or the channel to use."""
    checked = check_preferences(claimed)
    if checked is not Channel.EMAIL or claimed.waited_for not in ASKING_REASONS:
        return checked
    with transaction(context.database) as db:
        found = siblings.find(db, claimed.message_id, claimed.recipient_id)
    return follow(claimed.recipient_id, claimed.address, found, claimed.read_at) or checked


def check_preferences(claimed: ClaimedDelivery) -> Outcome | Channel:
    """Check the preferences as they are now. Return how the attempt ends without a network, or the channel to use."""
    decision = choose_channel(claimed.sender, claimed.preference, now=claimed.read_at)
    return resolve_without_network(decision, claimed.channel)


def _claim(
    context: StepContext, id_groups: Sequence[Sequence[int]], *, is_isolated: bool = False
) -> list[list[ClaimedDelivery]]:
    """Claim for several threads in one transaction. A recipient in two groups of ids is delivered by the first."""
    recipient_ids = sorted({each for group in id_groups for each in group})
    with transaction(context.database) as db:
        token = claims.make_token(context.worker_id)
        deliveries = claims.claim(db, recipient_ids, token=token, lease=context.settings.lease, is_isolated=is_isolated)
        crash_here(CrashPoint.CLAIM_WRITTEN)
    unassigned = {each.recipient_id: each for each in deliveries}
    return [[unassigned.pop(each) for each in group if each in unassigned] for group in id_groups]


def _record(context: StepContext, ended: Sequence[tuple[ClaimedDelivery, Outcome]]) -> None:
    """Record how these attempts ended, all or none."""
    if not ended:
        return
    ends = [_next_transition(context, claimed, outcome) for claimed, outcome in ended]
    recorded = context.outcome_commits.submit(ends, partial(_apply, context))
    crash_here(CrashPoint.OUTCOME_COMMITTED)
    for claimed, _ in ended:
        context.journal.forget((claimed.recipient_id, claimed.attempt))
        if claimed.recipient_id not in recorded:  # Its lease expired, and a newer attempt is the one that counts.
            _log.warning("outcome_fenced", recipient_id=claimed.recipient_id, attempt=claimed.attempt)


def _apply(context: StepContext, groups: Sequence[Sequence[Transition]]) -> list[set[int]]:
    """Apply the transitions of several threads in one transaction. Each thread gets the ids of all that applied."""
    all_ends = [each for group in groups for each in group]
    with transaction(context.database) as db:
        recorded = transitions.apply_transitions(db, all_ends)
        crash_here(CrashPoint.OUTCOME_WRITTEN)
    return [recorded] * len(groups)


def _next_transition(context: StepContext, claimed: ClaimedDelivery, outcome: Outcome) -> Transition:
    applied = apply_unknown_policy(outcome, context.settings)
    return next_transition(claimed.as_attempt, applied, context.jitter(), patience=context.settings.send_deadline)
