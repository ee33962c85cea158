"""What a reply of the mail relay is about: this recipient, this mail, or only us; read now or from a journal."""

import re
from enum import Enum

from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.vocabulary import Reason


class Stage(Enum):
    """Which command a reply answers."""

    MAIL = "MAIL FROM"
    RCPT = "RCPT TO"
    DATA = "DATA"
    DATA_END = "the end of the mail"


# At the start of a line (RFC 2034 4), or marked as qmail and Ironport do. Elsewhere it may be a version, or a part of
# an IP address: "550 Client host [5.1.1.7] blocked".
_ENHANCED = re.compile(r"(?:^(?:\d{3}[ -])?#?|[\[(]#?|#)([45])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)", re.MULTILINE)

# RFC 3463 and the IANA registry of enhanced status codes, by subject and detail. What is not about the recipient or
# the mail (sender, policy, protocol, network, system) is about us: an operator can mend it, and no recipient fails.
_FINAL_SUBJECTS = frozenset({1, 2, 6})
_FINAL_BESIDE = frozenset({(3, 4), (3, 3)})  # The mail is too big; the relay cannot store this content.
_ABOUT_US_ALTHOUGH = frozenset({(1, 7), (1, 8), (1, 9), (2, 2)})  # The sender's address; and a mailbox that is full.
# Codes that say too little; beyond these details are codes of single vendors: "550 5.1.90 ... your daily limit".
_DECIDED_BY_WORDS = frozenset({(0, 0), (1, 0), (2, 0), (2, 1)})
_LAST_REGISTERED_DETAIL = 10

# These codes speak of commands, authentication or encryption (RFC 5321 4.2.3, RFC 4954 6, RFC 7504 521).
_ABOUT_US_CODES = frozenset({500, 501, 502, 503, 504, 521, 530, 534, 535, 538})

# What Postfix, Exim, Exchange, Sendmail, qmail, Gmail, Amazon SES, Mailgun, SendGrid, Proofpoint, Barracuda, Mimecast
# and common blocklists write where they give no enhanced code. `tests/unit/test_smtp_replies.py` has the sentences.
_ABOUT_US_WORDS = re.compile(
    r"relay(?:ing)?\b.{0,20}\b(?:denied|not permitted|not allowed|prohibited)|not permitted to relay|unable to relay"
    r"|\bnot (?:a |an )?(?:open )?(?:relay|gateway)\b|authenti[cf]|autentic|credential|\blog ?in\b|not logged in"
    r"|must issue a starttls|encryption (?:needed|required)"
    r"|\bblock(?:ed|s)?\b|block ?list|black ?list|deny ?list|spamhaus|barracuda|sorbs|spamcop|\bdnsbl\b|\brbl\b"
    r"|reputation|banned|unsolicited|spoof"
    r"|client host|\bhelo\b|\behlo\b|reverse (?:dns|hostname|lookup)|\brdns\b|\bptr\b|\bspf\b|\bdkim\b|\bdmarc\b"
    r"|sender (?:address |domain )?(?:rejected|denied|refused|verify|verification|not)|sender (?:domain|identity)"
    r"|\(sender\)|badmailfrom|from address|send ?as\b|send ?as ?denied|not owned by user|not verified"
    r"|sending (?:ip|domain|host|server|network|address|limit)\b|\bip\b.{0,40}\bnot (?:allowed|permitted|authori[sz]ed)"
    r"|not allowed to (?:send|connect)|quota|too many|too quickly|at a rate|rate limit|limit exceeded|daily limit"
    r"|throttl|polic(?:y|ies)|prohibition|access denied|not authori[sz]ed"
    # The same in German, French and Spanish.
    r"|zugriff verweigert|weiterleitung|relais|acc\w+s refus|acceso denegado",
    re.IGNORECASE,
)
# These win over the words below: "550 Your account is disabled".
_ADDRESSED_TO_US = re.compile(
    r"\byour (?:\w+ ){0,2}(?:account|ip|domain|host|server|network|address|limit|plan)\b"
    r"|sending (?:is |was )?(?:suspended|paused|disabled)",
    re.IGNORECASE,
)
# And these over the words above: "550 Recipient address rejected: User unknown in virtual mailbox table".
_ABOUT_RECIPIENT_WORDS = re.compile(
    r"(?:user|recipient|mailbox|account|address).{0,30}\b"
    r"(?:unknown|not found|does(?: not|n't) (?:exist|have)|disabled|inactive)"
    r"|no such (?:user|mailbox|recipient|person|address)|unknown (?:user|recipient|mailbox)|unrouteable",
    re.IGNORECASE,
)
_FULL_WORDS = re.compile(r"full|over ?quota|quota exceeded", re.IGNORECASE)


def is_final(stage: Stage, code: int, text: str | None) -> bool:
    """Return whether this refusal ends the recipient for good.

    `text` is the reply's text; None when it was lost, and then nothing is final: another attempt brings it.
    Only a refusal about the recipient or the mail can be final. A refusal about us (no login, a blocklist, an
    unknown sender domain) is temporary at every stage: Postfix delays all such checks until RCPT
    (`smtpd_delay_reject`), so the stage does not tell. The enhanced code decides first (RFC 3463), then the words of
    known products, then the code.
    """
    if code < 500 or text is None or stage in {Stage.MAIL, Stage.DATA}:
        return False
    enhanced = _ENHANCED.search(text)
    if enhanced is not None and not _is_decided_by_words(enhanced):
        return _is_enhanced_final(int(enhanced[2]), int(enhanced[3])) and enhanced[1] == "5"
    if code == 552:
        # RFC 5321 4.5.3.1.10: at RCPT it means "too many recipients", later. After the mail it speaks of size.
        return stage is Stage.DATA_END and _FULL_WORDS.search(text) is None
    if _ADDRESSED_TO_US.search(text):
        return False
    if _ABOUT_RECIPIENT_WORDS.search(text):
        return True
    return code not in _ABOUT_US_CODES and _ABOUT_US_WORDS.search(text) is None


def _is_decided_by_words(enhanced: re.Match[str]) -> bool:
    subject, detail = int(enhanced[2]), int(enhanced[3])
    is_of_a_vendor = subject in _FINAL_SUBJECTS and detail > _LAST_REGISTERED_DETAIL
    return enhanced[1] == "5" and ((subject, detail) in _DECIDED_BY_WORDS or is_of_a_vendor)


def _is_enhanced_final(subject: int, detail: int) -> bool:
    kind = (subject, detail)
    return kind in _FINAL_BESIDE or (subject in _FINAL_SUBJECTS and kind not in _ABOUT_US_ALTHOUGH)


def classify_reply(code: int, text: str | None) -> Outcome:
    """Return the outcome of an attempt whose final dot got this reply; `text` is None where only its code is known."""
    detail = text if text is not None else f"{code} (the text of the reply was lost with the worker)"
    if 200 <= code < 300:
        return Outcome(OutcomeKind.SENT)
    if code < 400:  # SMTP has no such reply at this place.
        return Outcome(OutcomeKind.UNKNOWN, Reason.INTERRUPTED, f"The relay ended the mail with the code {code}.")
    if is_final(Stage.DATA_END, code, text):
        return Outcome(OutcomeKind.PERMANENT, Reason.MAILBOX_REFUSED, detail)
    return Outcome(OutcomeKind.TEMPORARY, Reason.TRY_LATER, detail)
