"""The one reduction from recipients to a message's status. Door, reader, desk and checker all ask here."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from delivery.rules.states import STATE_CLASSES, StateClass
from delivery.vocabulary import Reason, State, Status, StatusReason


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """Where one recipient stands."""

    account_id: UUID
    state: State
    reason: Reason | None = None

    @property
    def state_class(self) -> StateClass:
        """Open, good or bad."""
        return STATE_CLASSES[self.state]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A message's status, why, and whom it cannot reach. `failed` is empty unless some, not all, failed."""

    status: Status
    reason: StatusReason
    failed: tuple[UUID, ...]


def reduce_status(standings: Sequence[RecipientStatus]) -> Verdict:
    """Reduce the recipients of one message, at least one, to its verdict.

    The order of the recipients does not matter to status and reason; `failed` keeps it.

    Raises `ValueError` for no recipients at all: no message has none.
    """
    if not standings:
        raise ValueError("A message has at least one recipient; none were given to combine.")
    weights = {standing.state_class for standing in standings}
    status = _status(weights)
    bad = tuple(standing.account_id for standing in standings if standing.state_class is StateClass.BAD)
    return Verdict(status, _reason(status, weights, standings), bad if len(bad) < len(standings) else ())


def _status(weights: set[StateClass]) -> Status:
    if StateClass.GOOD in weights:
        return Status.SENT
    return Status.PENDING if StateClass.OPEN in weights else Status.REJECTED


def _reason(status: Status, weights: set[StateClass], standings: Sequence[RecipientStatus]) -> StatusReason:
    if status is Status.SENT:
        return StatusReason.DELIVERED if weights == {StateClass.GOOD} else StatusReason.DELIVERED_IN_PART
    if status is Status.PENDING:
        is_held = any(standing.state is State.HELD for standing in standings)
        return StatusReason.IN_REVIEW if is_held else StatusReason.IN_DELIVERY
    return _rejection(standings)


# The first that applies names the rejection (CONTRACT.md section 2).
_REFUSALS = {
    Reason.EXPIRED_IN_REVIEW: StatusReason.EXPIRED_IN_REVIEW,
    Reason.REFUSED_BY_RULE: StatusReason.REFUSED_BY_RULE,
    Reason.REFUSED_BY_STAFF: StatusReason.REFUSED_BY_STAFF,
}


def _rejection(standings: Sequence[RecipientStatus]) -> StatusReason:
    refusals = {standing.reason for standing in standings if standing.state is State.REFUSED}
    for reason, status_reason in _REFUSALS.items():
        if reason in refusals:
            return status_reason
    if any(standing.state is State.FAILED for standing in standings):
        return StatusReason.UNDELIVERABLE
    return StatusReason.BLOCKED_BY_PREFERENCES
