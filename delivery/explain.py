"""Telling people, in plain words, where a message stands and what waits where."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from delivery.records.views.messages import MessageView, RecipientView
from delivery.rules.status import reduce_status
from delivery.rules.status_text import describe
from delivery.vocabulary import Channel, Reason, State

_REASONS = {
    Reason.CLOSED_TO_EVERYBODY: "the account accepts no messages from anybody",
    Reason.TYPE_NOT_ACCEPTED: "the account does not accept messages of this type",
    Reason.SENDER_NOT_WANTED: "the account's list of senders keeps this sender away",
    Reason.MUTED: "the account accepts no messages for the time being",
    Reason.QUIET_HOURS: "it waits for the end of the account's quiet hours",
    Reason.ACCOUNT_UNAVAILABLE: "the account was closed or suspended after the message was accepted",
    Reason.FLAGGED: "a vetting rule flagged the message",
    Reason.REFUSED_BY_RULE: "a rule refused it",
    Reason.REFUSED_BY_STAFF: "staff refused it",
    Reason.EXPIRED_IN_REVIEW: "staff did not decide in time",
    Reason.TRY_LATER: "the mail server asked to try later, or could not be reached",
    Reason.MAILBOX_REFUSED: "the mail server refused the mailbox or the mail for good",
    Reason.NOT_EXPRESSIBLE: "the message cannot be written as a correct e-mail to this address",
    Reason.GAVE_UP: "every attempt of the retry schedule was used",
    Reason.INTERRUPTED: "the last attempt was cut off when the mail may already have been taken",
    Reason.STEP_FAILED: "a step broke on it and it was set aside; the worker's log has the error",
    Reason.POISONED: "workers died of it again and again",
}
_CHANNELS = {Channel.INBOX: "in-app inbox", Channel.EMAIL: "e-mail"}
_NEXT = {
    State.ACCEPTED: "a decide worker looks at it at once, the sweep {when} at the latest",
    State.HELD: "staff decide; undecided it expires {when}",
    State.QUEUED: "a delivery worker tries it at once, the sweep {when} at the latest",
    State.CLAIMED: "an attempt is under way; if its worker died, that is noticed {when}",
    State.RETRYING: "the next attempt is made {when}",
    State.UNKNOWN: "it is tried again {when}, under the same Message-ID, as a possible duplicate",
}


@dataclass(frozen=True, slots=True)
class Explanation:
    """Where one recipient stands, why, and what happens next and when; the last two may be empty."""

    recipient: RecipientView
    why: str
    next: str


def explain_recipients(message: MessageView, now: datetime) -> list[Explanation]:
    """Explain every recipient of a message."""
    return [Explanation(each, _why(each), _next(each, now)) for each in message.recipients]


def explain_message(message: MessageView) -> str:
    """Explain a message in one sentence or two, as its client reads it."""
    standings = [each.standing for each in message.recipients]
    return describe(reduce_status(standings), standings)


def channel_name(channel: Channel | None) -> str:
    """Name a channel for people; a recipient that is not decided or was blocked has none."""
    return _CHANNELS[channel] if channel else "-"


def span(duration: timedelta) -> str:
    """Write a duration as people say it: in its largest unit, rounded down."""
    seconds = max(0, int(duration.total_seconds()))
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return count(seconds // size, unit)
    return count(seconds, "second")


def ago(instant: datetime | None, now: datetime) -> str:
    """Say how long ago an instant was."""
    return f"{span(now - instant)} ago" if instant else "-"


def _why(recipient: RecipientView) -> str:
    parts = [_REASONS[recipient.reason]] if recipient.reason else []
    if recipient.detail:
        # What the mail server said begins with its code; everything else is a sentence of ours.
        is_quoted = recipient.detail[:3].isdecimal()
        parts.append(f'in its own words: "{recipient.detail}"' if is_quoted else f"in detail: {recipient.detail}")
    if recipient.possibly_duplicated:
        parts.append("a copy may have arrived before")
    return "; ".join(parts)


def _next(recipient: RecipientView, now: datetime) -> str:
    if recipient.state not in _NEXT or recipient.due_at is None:
        return ""
    if recipient.is_parked:
        return "nothing, until somebody lets it go on: postroom release MESSAGE"
    return _NEXT[recipient.state].format(when=_when(recipient.due_at, now))


def _when(due_at: datetime, now: datetime) -> str:
    clock = f"{due_at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"in {span(due_at - now)} ({clock})" if due_at > now else f"any moment now (due since {clock})"


def count(number: int, unit: str) -> str:
    """Write a number with what it counts, in the plural where there is not one."""
    return f"{number:,} {unit}" if number == 1 else f"{number:,} {unit}s"


def paragraph(explanations: Explanation, now: datetime) -> str:
    """Write what is known of one recipient: who, where it stands and since when, why, and what happens next."""
    each = explanations.recipient
    channel = f" by {_CHANNELS[each.channel]}" if each.channel else ""
    attempts = f", {count(each.attempt, 'attempt')}" if each.attempt else ""
    text = f"{each.account_id}  {each.state}{channel}{attempts}, {ago(each.changed_at, now)}"
    follow = [f"why: {explanations.why}"] if explanations.why else []
    follow += [f"next: {explanations.next}"] if explanations.next else []
    return "\n".join([text, *(f"    {line}" for line in follow)])
