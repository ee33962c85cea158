"""Every word that Postroom stores, answers or logs, once.

A word that is not here has no business in a row, an answer or a log line; two words for one idea are a defect.
"""

from enum import StrEnum


class State(StrEnum):
    """Where one recipient of one message stands. `rules/states.py` says which moves are legal."""

    ACCEPTED = "accepted"
    """Taken in, not looked at yet."""
    HELD = "held"
    """Waiting for staff."""
    QUEUED = "queued"
    """Ready for its first attempt."""
    CLAIMED = "claimed"
    """Being tried, under a lease."""
    RETRYING = "retrying"
    """Waiting for another attempt."""
    UNKNOWN = "unknown"
    """Tried, and nobody can say whether it arrived."""
    DELIVERED = "delivered"
    """Reached."""
    BLOCKED = "blocked"
    """Kept from it by the recipient's preferences."""
    FAILED = "failed"
    """Not reachable for good."""
    REFUSED = "refused"
    """Refused by staff or rule, or its review expired."""


class Status(StrEnum):
    """Where a whole message stands, for its client: the reduction of its recipients' states."""

    SENT = "sent"
    PENDING = "pending"
    REJECTED = "rejected"


class StatusReason(StrEnum):
    """Why a message has its status, for machines."""

    DELIVERED = "delivered"
    DELIVERED_IN_PART = "delivered_in_part"
    IN_REVIEW = "in_review"
    IN_DELIVERY = "in_delivery"
    EXPIRED_IN_REVIEW = "expired_in_review"
    REFUSED_BY_RULE = "refused_by_rule"
    REFUSED_BY_STAFF = "refused_by_staff"
    UNDELIVERABLE = "undeliverable"
    BLOCKED_BY_PREFERENCES = "blocked_by_preferences"


class Reason(StrEnum):
    """Why one recipient is in its state."""

    CLOSED_TO_EVERYBODY = "closed_to_everybody"
    """The account accepts no messages at all."""
    TYPE_NOT_ACCEPTED = "type_not_accepted"
    """The account accepts other message types only."""
    SENDER_NOT_WANTED = "sender_not_wanted"
    """The account's list of senders keeps this sender away."""
    MUTED = "muted"
    """The account accepts no messages until an instant that has not come."""
    QUIET_HOURS = "quiet_hours"
    """It waits for the end of the account's quiet hours."""
    ACCOUNT_UNAVAILABLE = "account_unavailable"
    """The account was closed or suspended after the message was accepted."""
    FLAGGED = "flagged"
    """A vetting rule wants staff to look first."""
    REFUSED_BY_RULE = "refused_by_rule"
    REFUSED_BY_STAFF = "refused_by_staff"
    EXPIRED_IN_REVIEW = "expired_in_review"
    """Staff did not decide in time."""
    TRY_LATER = "try_later"
    """The mail server asked for another attempt, or could not be reached."""
    MAILBOX_REFUSED = "mailbox_refused"
    """The mail server refused for good."""
    NOT_EXPRESSIBLE = "not_expressible"
    """The message cannot be written as a correct e-mail to this address."""
    GAVE_UP = "gave_up"
    """Every attempt of the retry schedule was used."""
    INTERRUPTED = "interrupted"
    """The attempt was cut off at a moment when the mail may already have been taken."""
    STEP_FAILED = "step_failed"
    """A step broke on it; it is set aside for a while. The log has the error."""
    POISONED = "poisoned"
    """Workers died of it again and again; it is set aside until somebody releases it."""


class Channel(StrEnum):
    """A way to reach a recipient."""

    INBOX = "inbox"
    EMAIL = "email"


class MessageType(StrEnum):
    """What a message is about, as its client says."""

    RFQ = "rfq"
    JOB = "job"
    OTHER = "other"


class AccountStatus(StrEnum):
    """Whether an account can receive messages."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    CLOSED = "closed"


class SenderRule(StrEnum):
    """What an account's list of senders is for."""

    ALLOW = "allow"
    """Nobody else may write."""
    BLOCK = "block"
    """Everybody else may write."""


class CaseState(StrEnum):
    """Where a vetting case stands."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Scope(StrEnum):
    """What a client may do."""

    MESSAGE_SEND = "message.send"
    MESSAGE_READ = "message.read"
    ACCOUNT_READ = "account.read"
    ACCOUNT_WRITE = "account.write"
    INBOX_READ = "inbox.read"
    VETTING_DECIDE = "vetting.decide"
    OPS_READ = "ops.read"


class CredentialKind(StrEnum):
    """What a client shows to prove who it is."""

    API_KEY = "api_key"
    CLIENT_SECRET = "client_secret"  # noqa: S105 - the name of a kind, not a secret
    ACCESS_TOKEN = "access_token"  # noqa: S105 - see above


class StepName(StrEnum):
    """The Celery task names. They are part of the wire: old workers must know the tasks of new ones."""

    ACCEPT = "messages.accept"
    DECIDE = "messages.decide"
    VET = "messages.vet"
    DELIVER = "messages.deliver"


class QueueName(StrEnum):
    """The lists in Redis on which bells wait."""

    ACCEPT = "accept"
    DECIDE = "decide"
    VETTING = "vetting"
    DELIVER_SMTP = "deliver.smtp"
