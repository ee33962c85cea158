"""The words that Postroom stores in a row, returns as a status or uses to address a task, each defined once.

Code compares with these members, never with a string. Where a word is in two enums, the enum decides what it means.
docs/glossary.md lists all of them. The codes of errors are not here: docs/contract.md lists those.
"""

from enum import StrEnum


class State(StrEnum):
    """Where one recipient of one message is. `rules/states.py` lists the legal transitions."""

    ACCEPTED = "accepted"
    """Stored, not decided yet."""
    HELD = "held"
    """Waiting for staff."""
    QUEUED = "queued"
    """Ready for its first attempt."""
    CLAIMED = "claimed"
    """Being tried, under a lease."""
    RETRYING = "retrying"
    """Waiting for another attempt, or for the end of quiet hours."""
    UNKNOWN = "unknown"
    """Tried; whether it arrived is not known."""
    DELIVERED = "delivered"
    """The inbox has it, or the relay took the mail."""
    BLOCKED = "blocked"
    """Not delivered: the recipient's preferences refuse the message."""
    FAILED = "failed"
    """Cannot be reached."""
    REFUSED = "refused"
    """Refused by staff or by a rule, or its review expired."""
    CANCELLED = "cancelled"
    """Cancelled by an operator before it was reached."""


class Status(StrEnum):
    """Where a whole message is, computed from the states of its recipients (`rules/status.py`)."""

    SENT = "sent"
    """At least one recipient was reached."""
    PENDING = "pending"
    """No recipient was reached yet, and at least one still may be."""
    REJECTED = "rejected"
    """No recipient was or will be reached."""


class StatusReason(StrEnum):
    """Why a message has its status. Programs read it; people read the sentences of `rules/status_text.py`."""

    DELIVERED = "delivered"
    """All recipients were reached."""
    DELIVERED_IN_PART = "delivered_in_part"
    """Some recipients were reached; others were not, or not yet."""
    IN_REVIEW = "in_review"
    """No recipient was reached yet, and at least one waits for staff."""
    IN_DELIVERY = "in_delivery"
    """No recipient was reached yet, none waits for staff, and at least one still may be reached."""
    CANCELLED = "cancelled"
    """All recipients were cancelled."""
    EXPIRED_IN_REVIEW = "expired_in_review"
    """Staff did not decide in time."""
    REFUSED_BY_RULE = "refused_by_rule"
    """A rule refused the message."""
    REFUSED_BY_STAFF = "refused_by_staff"
    """Staff refused the message."""
    UNDELIVERABLE = "undeliverable"
    """At least one recipient cannot be reached, and none was reached."""
    BLOCKED_BY_PREFERENCES = "blocked_by_preferences"
    """The preferences of all recipients refuse the message."""
    REFUSED_SEND = "refused_send"
    """This direct send was not accepted, and nothing of it was stored."""


class Reason(StrEnum):
    """Why one recipient is in its state."""

    # The account's preferences: they block it, or delay it in quiet hours.
    CLOSED_TO_EVERYBODY = "closed_to_everybody"
    """The account accepts no messages."""
    TYPE_NOT_ACCEPTED = "type_not_accepted"
    """The account does not accept messages of this type."""
    SENDER_NOT_WANTED = "sender_not_wanted"
    """The account's list of senders excludes this sender."""
    MUTED = "muted"
    """The account accepts no messages until a later time."""
    QUIET_HOURS = "quiet_hours"
    """The recipient waits for the end of the account's quiet hours."""
    # Another recipient: the recipient waits for its mail, or was reached by it.
    SAME_MAILBOX = "same_mailbox"
    """The mail to another recipient with the same address is for this one too."""
    # The account itself: the recipient has failed.
    ACCOUNT_UNAVAILABLE = "account_unavailable"
    """The account was closed or suspended after the message was accepted."""
    # The review, and what refused the recipient.
    FLAGGED = "flagged"
    """A vetting rule sent the message to staff."""
    REFUSED_BY_RULE = "refused_by_rule"
    """A rule refused the message. No rule does so yet."""
    REFUSED_BY_STAFF = "refused_by_staff"
    """Staff refused the message."""
    EXPIRED_IN_REVIEW = "expired_in_review"
    """Staff did not decide in time."""
    # How the attempts went: the recipient waits for another one, or has failed.
    TRY_LATER = "try_later"
    """The relay asked for another attempt or could not be reached, or the account gets too many messages."""
    MAILBOX_REFUSED = "mailbox_refused"
    """The relay refused the mailbox or the mail permanently."""
    NOT_EXPRESSIBLE = "not_expressible"
    """The message cannot be written as a correct e-mail to this address."""
    GAVE_UP = "gave_up"
    """Every attempt of the retry schedule was used."""
    INTERRUPTED = "interrupted"
    """The attempt was cut off when the relay may already have taken the mail."""
    # Our own defects: the recipient keeps its state and is due later.
    STEP_FAILED = "step_failed"
    """A step failed on it for a reason of our own; it is postponed. The worker's log has the error."""
    POISONED = "poisoned"
    """Workers crashed on it three times; it is parked until an operator releases it."""


class Channel(StrEnum):
    """A way to reach a recipient."""

    INBOX = "inbox"
    """The in-app inbox, a table."""
    EMAIL = "email"
    """E-mail through the relay."""


class MessageType(StrEnum):
    """What a message is about, as its client says."""

    RFQ = "rfq"
    """A request for a quote."""
    JOB = "job"
    """A job."""
    OTHER = "other"
    """Anything else; the default."""


class AccountStatus(StrEnum):
    """Whether an account can receive messages."""

    ACTIVE = "active"
    """It can receive messages."""
    SUSPENDED = "suspended"
    """It cannot receive messages for now."""
    CLOSED = "closed"
    """It cannot receive messages any more."""


class SenderRule(StrEnum):
    """What an account's list of senders is for."""

    ALLOW = "allow"
    """Only listed senders may write."""
    BLOCK = "block"
    """Listed senders may not write."""


class RuleVerdict(StrEnum):
    """What happens to a message after rules and policy."""

    PASS = "pass"  # noqa: S105 - no password
    HOLD = "hold"
    REFUSE = "refuse"


class Trust(StrEnum):
    """How far staff trust a client."""

    NORMAL = "normal"
    TRUSTED = "trusted"
    WATCHED = "watched"


class CaseState(StrEnum):
    """Where a vetting case is."""

    OPEN = "open"
    """Waiting for staff."""
    DECIDED = "decided"
    """Staff decided; it takes effect when its pause is over, and can be undone until then."""
    APPROVED = "approved"
    """Staff let the message go out."""
    REJECTED = "rejected"
    """Staff refused the message."""
    PARTLY = "partly"
    """Recipients of the message were decided differently."""
    EXPIRED = "expired"
    """Staff did not decide in time."""


class StaffRole(StrEnum):
    """What a member of staff may do at the desk. Each role may do what the ones before it may."""

    VIEWER = "viewer"
    """Read cases, rules and figures."""
    VETTER = "vetter"
    """Decide vetting cases."""
    RULE_EDITOR = "rule_editor"
    """Change rules and lists."""
    ADMIN = "admin"
    """Change staff and clients."""


class SecurityEventKind(StrEnum):
    """What the table of security events records. Its rows are never changed or deleted."""

    CLIENT_CREATED = "client_created"
    """An operator created a client."""
    CREDENTIAL_CREATED = "credential_created"
    """An operator made an API key or a client secret."""
    CREDENTIAL_FIRST_USED = "credential_first_used"
    """An API key or a client secret was used for the first time."""
    CREDENTIAL_REVOKED = "credential_revoked"
    """An operator revoked one credential."""
    CREDENTIALS_REVOKED = "credentials_revoked"
    """An operator revoked everything that a client has."""
    CREDENTIALS_REPLACED = "credentials_replaced"
    """An operator rotated the keys or secrets of a client."""
    ISSUER_LINKED = "issuer_linked"
    """An operator let tokens of the trusted issuer work as a client."""
    ISSUER_UNLINKED = "issuer_unlinked"
    """An operator ended that."""
    ADDRESS_CHANGED = "address_changed"
    """The e-mail address of an account was replaced."""
    CASE_APPROVED = "case_approved"
    """Staff approved a held message."""
    CASE_REJECTED = "case_rejected"
    """Staff rejected a held message."""


class Scope(StrEnum):
    """What a credential allows its client to do (RFC 6749 3.3)."""

    MESSAGE_SEND = "message.send"
    """Send messages."""
    MESSAGE_READ = "message.read"
    """Read the client's own messages."""
    ACCOUNT_READ = "account.read"
    """Read any account and its preferences."""
    ACCOUNT_WRITE = "account.write"
    """Create and change any account and its preferences."""
    INBOX_READ = "inbox.read"
    """Read any account's inbox."""
    VETTING_DECIDE = "vetting.decide"
    """Read and decide vetting cases, with the texts of their messages."""
    VETTING_RULES = "vetting.rules"
    """Read and change rules, word lists and the policy."""
    OPS_READ = "ops.read"
    """Read the state of the system. No route asks for it yet."""


class CredentialKind(StrEnum):
    """What a client presents to prove who it is."""

    API_KEY = "api_key"
    """A key in the header `X-API-Key`, or in the one that the setting `api_key_header` names."""
    CLIENT_SECRET = "client_secret"  # noqa: S105 - the name of a kind, not a secret
    """A secret that `/oauth/token` exchanges for an access token."""
    ACCESS_TOKEN = "access_token"  # noqa: S105 - see above
    """A bearer token (RFC 6750)."""
    SIGNING_KEY = "signing_key"
    """A key that signs direct sends. It opens nothing else, and is stored sealed."""


class StepName(StrEnum):
    """Celery task names. They are on the wire between processes of two versions, so they never change."""

    ACCEPT = "messages.accept"
    """Store direct sends. The reader of direct sends does it; Celery never runs this task."""
    DECIDE = "messages.decide"
    """Apply preferences and rules to every recipient; deliver to inboxes."""
    VET = "messages.vet"
    """Open vetting cases for held messages."""
    APPLY = "messages.apply"
    """Apply decisions about held messages whose pause is over."""
    DELIVER = "messages.deliver"
    """Claim recipients and send to them."""


class QueueName(StrEnum):
    """Names of lists in Redis."""

    ACCEPT = "accept"
    """Direct sends: whole messages, not bells."""
    DECIDE = "decide"
    """Bells for `messages.decide`."""
    VETTING = "vetting"
    """Bells for `messages.vet` and `messages.apply`."""
    DELIVER_SMTP = "deliver.smtp"
    """Bells for `messages.deliver` by e-mail."""
