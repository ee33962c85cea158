"""What the replies of real mail servers mean: final for a recipient or a mail, and never when they are about us."""

import pytest

from delivery.rules.outcomes import OutcomeKind
from delivery.rules.smtp_replies import Stage, classify_reply, is_final

ABOUT_US = [
    "554 5.7.1 <b@x.example>: Relay access denied",
    "530 5.7.0 Authentication required",
    "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using list.example",
    "550 5.1.8 <a@nowhere.example>: Sender address rejected: Domain not found",
    "553 5.7.1 <a@x.example>: Sender address rejected: not owned by user b",
    "504 5.5.2 <host>: Helo command rejected: need fully-qualified hostname",
    "550 5.7.25 Client host rejected: cannot find your hostname",
    "503 5.5.1 Error: send HELO/EHLO first",
    "550 5.7.26 Unauthenticated email is not accepted due to domain's DMARC policy",
    "550 5.4.1 Recipient address rejected: Access denied",
    "554 5.3.2 System not accepting network messages",
    "550 relay not permitted",
    "550 Relaying denied",
    "550-Sender verify failed",
    "554 Message refused: 192.0.2.1 is listed at zen.spamhaus.org",
    "550 SPF check failed",
    "535 login failed",
    "503 HELO or EHLO required",
    "554 Your domain has a bad reputation",
    "550 Daily sending quota exceeded",
    "452 4.2.2 Mailbox full",
    "552 5.2.2 Mailbox full",
    "552 Mailbox full",
    # Exchange and Microsoft 365
    "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain",
    "550 5.7.60 SMTP; Client does not have permissions to send as this sender",
    "550 5.7.64 TenantAttribution; Relay Access Denied",
    "550 5.7.606 Access denied, banned sending IP [192.0.2.1]",
    "550 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients",
    "554 5.2.252 SendAsDenied; a@x.example not allowed to send as b@x.example",
    "550 SC-001 messages from 192.0.2.1 weren't sent, since part of their network is on our block list (S3140)",
    # Gmail, as a relay and as a mail server
    "550 5.4.5 Daily user sending limit exceeded.",
    "550 5.7.1 [192.0.2.1] Our system has detected that this message is likely unsolicited mail",
    "550 5.7.1 Invalid credentials for relay [192.0.2.1].",
    "550 5.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages",
    # Sendmail
    "550 5.7.1 <b@x.example>... Relaying denied. Proper authentication required.",
    "501 5.1.8 <a@nowhere.example>... Domain of sender address a@nowhere.example does not exist",
    "550 5.0.0 Access denied",
    # Exim
    "550 Administrative prohibition",
    "550 Verification failed for <a@x.example>\nPrevious (cached) callout verification failure\nSender verify failed",
    "550 Rejected because 192.0.2.1 is in a black list at zen.spamhaus.org",
    "501 Syntactically invalid HELO argument(s)",
    # qmail
    "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)",
    "553 sorry, your envelope sender is in my badmailfrom list (#5.7.1)",
    # Amazon SES, Mailgun, SendGrid
    "554 Message rejected: Email address is not verified. The following identities failed the check",
    "554 Message rejected: Sending suspended for this account.",
    "554 Transaction failed: Access denied: User `arn:aws:iam::1:user/x' is not authorized to perform it",
    "550 5.7.1 domain mg.x.example is not allowed to send: Free accounts are for test purposes only",
    "550 Please activate your Mailgun account",
    "550 Your Mailgun account is disabled",
    "550 The from address does not match a verified Sender Identity.",
    "550 Unauthenticated senders not allowed",
    # Proofpoint, Barracuda, Mimecast, Ironport
    "554 5.7.0 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1",
    "554 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1",
    "554 Service unavailable; Client host [mail.x.example] blocked using Barracuda Reputation",
    "550 permanent failure for one or more recipients (b@x.example:blocked)",
    "550 Rejected by header based Anti-Spoofing policy",
    "554 Email rejected due to security policies",
    "550 5.1.0 Address rejected. (sender)",
    # An address that looks like an enhanced code, and a code of another class than the reply
    "550 Client host [5.1.1.7] blocked",
    "554 5.1.1.7 is not an authorized relay: not authorized",
    "554 IP 5.2.1.9 is not allowed",
    "550 4.2.1 Mailbox busy",
    # In other languages
    "550 Zugriff verweigert: Weiterleitung nicht erlaubt",
    "550 Relais refus\u00e9",
    "550 Se requiere autenticaci\u00f3n",
]
ABOUT_THE_RECIPIENT = [
    "550 5.1.1 <b@x.example>: Recipient address rejected: User unknown in virtual mailbox table",
    "550 5.1.1 User unknown",
    "550 User unknown",
    "550 No such user here",
    "550 mailbox not found",
    "550",
    "551 User not local",
    "553 Mailbox name not allowed",
    "556 5.1.10 Recipient address has a null MX",
    "550 5.2.1 The email account that you tried to reach is disabled",
    "550 5.1.6 Mailbox has moved",
    "554 5.1.1 unknown",
    "550 Recipient address rejected: User unknown in relay recipient table",
    "550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
    "550 5.1.1 The email account that you tried to reach does not exist.\n5.1.1 Please try double-checking it.",
    "550 Unrouteable address",
    "550 sorry, no mailbox here by that name. (#5.1.1)",
    "550 #5.1.0 Address rejected.",
    "554 delivery error: dd This user doesn't have a x.example account (b@x.example) [0]",
    "550 5.2.1 The mailbox is disabled by a policy",
    "550 [5.1.1] not here",
    "550 Requested action not taken: mailbox unavailable",
]


def _code(reply: str) -> int:
    return int(reply[:3])


@pytest.mark.parametrize("reply", ABOUT_US)
@pytest.mark.parametrize("stage", Stage)
def test_a_refusal_about_us_fails_no_recipient_at_any_stage(stage: Stage, reply: str) -> None:
    assert not is_final(stage, _code(reply), reply)


@pytest.mark.parametrize("reply", ABOUT_THE_RECIPIENT)
@pytest.mark.parametrize("stage", [Stage.RCPT, Stage.DATA_END])
def test_a_refusal_about_the_recipient_is_final(stage: Stage, reply: str) -> None:
    assert is_final(stage, _code(reply), reply)


@pytest.mark.parametrize("stage", [Stage.MAIL, Stage.DATA])
def test_before_a_recipient_and_before_the_mail_no_refusal_is_final(stage: Stage) -> None:
    assert not any(is_final(stage, _code(reply), reply) for reply in ABOUT_THE_RECIPIENT)


@pytest.mark.parametrize(
    ("stage", "reply", "final"),
    [
        (Stage.DATA_END, "552 5.3.4 Message size exceeds fixed limit", True),
        (Stage.DATA_END, "552 message too big", True),
        (Stage.DATA_END, "554 5.3.4 Too big", True),
        (Stage.DATA_END, "552 5.2.3 Message length exceeds administrative limit", True),
        (Stage.RCPT, "552 Too many recipients", False),
        (Stage.RCPT, "552 5.3.4 Message size exceeds fixed limit", True),
        (Stage.DATA_END, "554 5.6.0 The content cannot be converted", True),
    ],
)
def test_552_is_about_the_size_unless_it_answers_the_recipient(stage: Stage, reply: str, final: bool) -> None:  # noqa: FBT001 - a column of the table
    assert final == is_final(stage, _code(reply), reply)


@pytest.mark.parametrize(
    ("code", "text", "kind"),
    [
        (250, None, OutcomeKind.SENT),
        (354, None, OutcomeKind.UNKNOWN),
        (-1, None, OutcomeKind.UNKNOWN),
        (451, "451 Later", OutcomeKind.TEMPORARY),
        (550, "550 No such user", OutcomeKind.PERMANENT),
        (550, "550 5.7.1 Blocked", OutcomeKind.TEMPORARY),
        # A journal keeps the code alone: another attempt brings the words.
        (550, None, OutcomeKind.TEMPORARY),
    ],
)
def test_the_reply_to_a_mail_is_an_outcome(code: int, text: str | None, kind: OutcomeKind) -> None:
    assert kind is classify_reply(code, text).kind
