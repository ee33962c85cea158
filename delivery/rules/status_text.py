"""The sentences that a client reads about a message's status. They never tell who blocked whom."""

from collections.abc import Sequence

from delivery.rules.states import StateClass
from delivery.rules.status import RecipientStatus, Verdict
from delivery.vocabulary import State, StatusReason

_STATUS = {
    StatusReason.DELIVERED: "Delivered to all recipients.",
    StatusReason.DELIVERED_IN_PART: "Delivered to {good} of {all} recipients.",
    StatusReason.IN_REVIEW: "Pending review by staff.",
    StatusReason.IN_DELIVERY: "Accepted; delivery is in progress.",
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
}


def describe(verdict: Verdict, standings: Sequence[RecipientStatus]) -> str:
    """Explain status and failures in one sentence or two."""
    good = sum(standing.state is State.DELIVERED for standing in standings)
    sentence = _STATUS[verdict.reason].format(good=good, all=len(standings))
    still_open = sum(standing.state_class is StateClass.OPEN for standing in standings)
    if good and still_open:
        sentence = f"{sentence.removesuffix('.')}; delivery to {still_open} more is still in progress."
    if not verdict.failed:
        return sentence
    return f"{sentence} Warning: {_warn(len(verdict.failed), standings)}."


def _warn(failed: int, standings: Sequence[RecipientStatus]) -> str:
    states = {standing.state for standing in standings}
    causes = " or ".join(cause for state, cause in _FAILURES.items() if state in states)
    whom = "1 recipient" if failed == 1 else f"{failed} recipients"
    return f"the message will not reach {whom}, because {causes}"
