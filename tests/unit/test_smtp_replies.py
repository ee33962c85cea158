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
