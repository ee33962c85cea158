"""The reduction of a message's recipients to its status. The API, the commands and the tests all use it."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from delivery.rules.states import STATE_CLASSES, StateClass
from delivery.vocabulary import Reason, State, Status, StatusReason


@dataclass(frozen=True, slots=True)
class RecipientStatus:
    """The state of one recipient, and why it is in it."""

    account_id: UUID
    state: State
    reason: Reason | None = None

    @property
    def state_class(self) -> StateClass:
        """What this state counts as: open, good or bad."""
        return STATE_CLASSES[self.state]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A message's status, its reason, and the accounts that it cannot reach.

    `failed` is empty when all of them failed: the status says so already.
    """

    status: Status
    reason: StatusReason
    failed: tuple[UUID, ...]


def reduce_status(recipients: Sequence[RecipientStatus]) -> Verdict:
    """Return the verdict on one message, given all its recipients.

    Status and reason do not depend on the order of the recipients; `failed` keeps it.

    Raises `ValueError` when there is no recipient: every message has one.
    """
    if not recipients:
        raise ValueError("A message has at least one recipient; got none.")
    classes = {recipient.state_class for recipient in recipients}
    status = _status(classes)
    failed = tuple(recipient.account_id for recipient in recipients if recipient.state_class is StateClass.BAD)
    return Verdict(status, _reason(status, classes, recipients), failed if len(failed) < len(recipients) else ())


def _status(classes: set[StateClass]) -> Status:
    if StateClass.GOOD in classes:
        return Status.SENT
    return Status.PENDING if StateClass.OPEN in classes else Status.REJECTED


def _reason(status: Status, classes: set[StateClass], recipients: Sequence[RecipientStatus]) -> StatusReason:
    if status is Status.SENT:
        return StatusReason.DELIVERED if classes == {StateClass.GOOD} else StatusReason.DELIVERED_IN_PART
    if status is Status.PENDING:
        is_held = any(recipient.state is State.HELD for recipient in recipients)
        return StatusReason.IN_REVIEW if is_held else StatusReason.IN_DELIVERY
    return _rejection(recipients)


# The first that applies is the reason (docs/contract.md, "Statuses").
_REFUSALS = {
    Reason.EXPIRED_IN_REVIEW: StatusReason.EXPIRED_IN_REVIEW,
    Reason.REFUSED_BY_RULE: StatusReason.REFUSED_BY_RULE,
    Reason.REFUSED_BY_STAFF: StatusReason.REFUSED_BY_STAFF,
}


def _rejection(recipients: Sequence[RecipientStatus]) -> StatusReason:
    if all(recipient.state is State.CANCELLED for recipient in recipients):
        return StatusReason.CANCELLED
    refusals = {recipient.reason for recipient in recipients if recipient.state is State.REFUSED}
    for reason, status_reason in _REFUSALS.items():
        if reason in refusals:
            return status_reason
    if any(recipient.state is State.FAILED for recipient in recipients):
        return StatusReason.UNDELIVERABLE
    return StatusReason.BLOCKED_BY_PREFERENCES
