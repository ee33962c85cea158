"""Explanations for operators: where each recipient of a message is, why, and what happens next."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from delivery.records.views.messages import MessageView, RecipientView
from delivery.rules.status import reduce_status
from delivery.rules.status_text import describe
from delivery.vocabulary import Channel, Reason, State

_REASONS = {
    Reason.CLOSED_TO_EVERYBODY: "the account accepts no messages",
    Reason.TYPE_NOT_ACCEPTED: "the account does not accept messages of this type",
    Reason.SENDER_NOT_WANTED: "the account's list of senders excludes this sender",
    Reason.MUTED: "the account accepts no messages until a later time",
    Reason.QUIET_HOURS: "it waits for the end of the account's quiet hours",
    Reason.SAME_MAILBOX: "the mail to another recipient with the same address is for this one too",
    Reason.ACCOUNT_UNAVAILABLE: "the account was closed or suspended after the message was accepted",
    Reason.FLAGGED: "a vetting rule flagged the message",
    Reason.REFUSED_BY_RULE: "a rule refused it",
    Reason.REFUSED_BY_STAFF: "staff refused it",
    Reason.EXPIRED_IN_REVIEW: "staff did not decide in time",
    Reason.TRY_LATER: "the mail relay was not reached or asked for another attempt, or the account gets very much",
    Reason.MAILBOX_REFUSED: "the mail relay refused the mailbox or the mail permanently",
    Reason.NOT_EXPRESSIBLE: "the message cannot be written as a correct e-mail to this address",
    Reason.GAVE_UP: "every attempt of the retry schedule was used",
    Reason.INTERRUPTED: "the last attempt was cut off when the mail relay may already have taken the mail",
    Reason.STEP_FAILED: "a step failed on it, so it is postponed; the worker's log has the error",
    Reason.POISONED: "workers crashed on it repeatedly",
}
_CHANNELS = {Channel.INBOX: "in-app inbox", Channel.EMAIL: "e-mail"}
_NEXT = {
    State.ACCEPTED: "a decide worker decides it at once, the sweep {when} at the latest",
    State.HELD: "staff decide; if they do not, it expires {when}",
    State.QUEUED: "a delivery worker tries it at once, the sweep {when} at the latest",
    State.CLAIMED: "an attempt is under way; if its worker crashed, that is noticed {when} at the latest",
    State.RETRYING: "the next attempt is made {when}",
    State.UNKNOWN: "it is tried again {when}, with the same Message-ID, as a possible duplicate",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """One recipient, why it is in its state, and what happens next and when. Both texts may be empty."""

    recipient: RecipientView
    why: str
    next: str


def explain_recipients(message: MessageView, now: datetime) -> list[Explanation]:
    """Return an explanation for each recipient of a message, in their order."""
    return [Explanation(each, _why(each), _next(each, now)) for each in message.recipients]


def explain_message(message: MessageView) -> str:
    """Return the one or two sentences about a message's status that its client reads."""
    recipients = [each.recipient_status for each in message.recipients]
    return describe(reduce_status(recipients), recipients, message.sentence, message.usual_minutes)


def channel_name(channel: Channel | None) -> str:
    """Return a channel's name for people; `-` for None, as an undecided or blocked recipient has no channel."""
    return _CHANNELS[channel] if channel else "-"


def span(duration: timedelta) -> str:
    """Return a duration in its largest unit, rounded down, such as `2 hours`. A negative one is `0 seconds`."""
    seconds = max(0, int(duration.total_seconds()))
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return count(seconds // size, unit)
    return count(seconds, "second")


def ago(instant: datetime | None, now: datetime) -> str:
    """Return how long ago an instant was, such as `2 hours ago`; `-` for None."""
    return f"{span(now - instant)} ago" if instant else "-"


def _why(recipient: RecipientView) -> str:
    parts = [_REASONS[recipient.reason]] if recipient.reason else []
    if recipient.detail:
        # A reply of the relay begins with its code; every other detail is a text of ours.
        is_reply = recipient.detail[:3].isdecimal()
        parts.append(f'its reply: "{recipient.detail}"' if is_reply else f"in detail: {recipient.detail}")
    if recipient.possibly_duplicated:
        parts.append("a copy may have arrived earlier")
    return "; ".join(parts)


def _next(recipient: RecipientView, now: datetime) -> str:
    if recipient.state not in _NEXT or recipient.due_at is None:
        return ""
    if recipient.is_parked:
        return "nothing, until an operator releases it: postroom release MESSAGE"
    return _NEXT[recipient.state].format(when=_when(recipient.due_at, now))


def _when(due_at: datetime, now: datetime) -> str:
    clock = f"{due_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"in {span(due_at - now)} ({clock})" if due_at > now else f"any moment now (due since {clock})"


def count(number: int, unit: str) -> str:
    """Return a number with its unit, in the plural unless the number is 1."""
    return f"{number:,} {unit}" if number == 1 else f"{number:,} {unit}s"


def paragraph(explanation: Explanation, now: datetime) -> str:
    """Return the lines about one recipient: account, state, channel, attempts, since when, why, and what is next."""
    recipient = explanation.recipient
    channel = f" by {_CHANNELS[recipient.channel]}" if recipient.channel else ""
    attempts = f", {count(recipient.attempt, 'attempt')}" if recipient.attempt else ""
    heading = f"{recipient.account_id}  {recipient.state}{channel}{attempts}, {ago(recipient.changed_at, now)}"
    details = [f"why: {explanation.why}"] if explanation.why else []
    details += [f"next: {explanation.next}"] if explanation.next else []
    return "\n".join([heading, *(f"    {line}" for line in details)])
