"""The sentences about a message's status that clients read. They never reveal who blocked whom."""

from collections.abc import Sequence

from delivery.rules.states import StateClass
from delivery.rules.status import RecipientStatus, Verdict
from delivery.vocabulary import Reason, State, StatusReason

_STATUS = {
    StatusReason.DELIVERED: "Delivered to all recipients.",
    StatusReason.DELIVERED_IN_PART: "Delivered to {good} of {all} recipients.",
    StatusReason.IN_REVIEW: "Pending review by staff.",
    StatusReason.IN_DELIVERY: "Accepted; delivery is in progress.",
    StatusReason.CANCELLED: "Cancelled before any recipient was reached.",
    StatusReason.EXPIRED_IN_REVIEW: "Rejected: staff did not review the message in time.",
    StatusReason.REFUSED_BY_RULE: "Rejected by the rules of this platform.",
    StatusReason.REFUSED_BY_STAFF: "Rejected by staff.",
    StatusReason.UNDELIVERABLE: "Rejected: no recipient could be reached.",
    StatusReason.BLOCKED_BY_PREFERENCES: "Rejected: the preferences of the recipients do not allow this message.",
}
_FAILURES = {
    State.BLOCKED: "their preferences do not allow this message",
    State.FAILED: "their address cannot be reached",
    State.REFUSED: "it was refused in review",
    State.CANCELLED: "it was cancelled",
}


REFUSED_SEND = "Rejected: this direct send was refused and not stored. Correct what `errors` lists and send it again."
"""The sentence about a direct send that has no recipients, because it is no message."""

BLOCKED = str(StatusReason.BLOCKED_BY_PREFERENCES)
"""The one reason that clients read for every recipient that is blocked."""

_NEUTRAL: dict[Reason, str] = {
    Reason.CLOSED_TO_EVERYBODY: BLOCKED,
    Reason.TYPE_NOT_ACCEPTED: BLOCKED,
    Reason.SENDER_NOT_WANTED: BLOCKED,
    Reason.MUTED: BLOCKED,
    # That two accounts share an address is not for their senders.
    Reason.SAME_MAILBOX: str(Reason.TRY_LATER),
}
NEUTRAL_REASONS = (*(str(reason) for reason in Reason if reason not in _NEUTRAL), BLOCKED)
"""All reasons that clients may read."""


def neutral_reason(state: State, reason: Reason | None) -> str | None:
    """Return a recipient's reason as clients read it: it does not reveal who blocked whom, or who shares a mailbox."""
    if reason is None or state is State.DELIVERED:
        return None
    return _NEUTRAL.get(reason, str(reason))


def describe(
    verdict: Verdict,
    recipients: Sequence[RecipientStatus],
    sentence: str | None = None,
    usual_minutes: int | None = None,
) -> str:
    """Return sentences about a message's status and the recipients that it will not reach.

    `sentence` is what staff wrote to the sender when they refused recipients. It comes last. `usual_minutes` is within
    how many minutes staff usually decide.
    """
    described = _describe(verdict, recipients)
    if verdict.reason is StatusReason.IN_REVIEW and usual_minutes:
        unit = "minute" if usual_minutes == 1 else "minutes"
        return f"{described} Usually decided within {usual_minutes} {unit}."
    is_refused = any(recipient.reason is Reason.REFUSED_BY_STAFF for recipient in recipients)
    return f"{described} Staff wrote: {sentence}" if sentence and is_refused else described


def _describe(verdict: Verdict, recipients: Sequence[RecipientStatus]) -> str:
    good = sum(recipient.state is State.DELIVERED for recipient in recipients)
    sentence = _STATUS[verdict.reason].format(good=good, all=len(recipients))
    still_open = sum(recipient.state_class is StateClass.OPEN for recipient in recipients)
    if good and still_open:
        sentence = f"{sentence.removesuffix('.')}; delivery to {still_open} more is still in progress."
    if not verdict.failed:
        return sentence
    return f"{sentence} Warning: {_warn(len(verdict.failed), recipients)}."


def _warn(failed: int, recipients: Sequence[RecipientStatus]) -> str:
    states = {recipient.state for recipient in recipients}
    causes = " or ".join(cause for state, cause in _FAILURES.items() if state in states)
    unreached = "1 recipient" if failed == 1 else f"{failed} recipients"
    return f"the message will not reach {unreached}, because {causes}"
