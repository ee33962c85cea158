"""What the relay's reply to a whole mail means, read from the relay or from the journal of a crashed worker."""

from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.vocabulary import Reason

LATER_ALTHOUGH_FINAL = frozenset({552})
"""Codes from 500 on that count as temporary. RFC 5321 4.5.3.1.10 tells clients to treat 552 as such."""


def classify_reply(code: int, detail: str | None) -> Outcome:
    """Return the outcome of an attempt whose final dot got this reply code; `detail` is the reply, for operators."""
    if 200 <= code < 300:
        return Outcome(OutcomeKind.SENT)
    if code < 400:  # SMTP has no such reply here.
        return Outcome(OutcomeKind.UNKNOWN, Reason.INTERRUPTED, f"The relay ended the mail with the code {code}.")
    if code >= 500 and code not in LATER_ALTHOUGH_FINAL:
        return Outcome(OutcomeKind.PERMANENT, Reason.MAILBOX_REFUSED, detail)
    return Outcome(OutcomeKind.TEMPORARY, Reason.TRY_LATER, detail)
