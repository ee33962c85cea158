"""What the relay's answer to a whole mail means, heard now or found in the journal of a dead worker."""

from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.vocabulary import Reason

LATER_ALTHOUGH_FINAL = frozenset({552})
"""Of the codes from 500 on, RFC 5321 4.5.3.1.10 means "later" by 552."""


def classify_reply(code: int, detail: str | None) -> Outcome:
    """Say how an attempt ended whose final dot was answered so; `detail` is for staff."""
    if 200 <= code < 300:
        return Outcome(OutcomeKind.SENT)
    if code < 400:  # No answer that SMTP knows at this place.
        return Outcome(OutcomeKind.UNKNOWN, Reason.INTERRUPTED, f"The relay ended the mail with the code {code}.")
    if code >= 500 and code not in LATER_ALTHOUGH_FINAL:
        return Outcome(OutcomeKind.PERMANENT, Reason.MAILBOX_REFUSED, detail)
    return Outcome(OutcomeKind.TEMPORARY, Reason.TRY_LATER, detail)
