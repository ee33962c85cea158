"""The sender talks to a real SMTP server that replies as each test sets it, and returns the outcome of each mail."""

from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from time import monotonic

import pytest

from delivery.channels.email.sender import SmtpSender
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.unsubscribe_tokens import LIFETIME, Permit, digest_address, read_token
from delivery.vocabulary import Reason
from tests.support import build
from tests.support.smtp_sender import make_sender
from tests.support.smtp_server import ReceivedMail, SmtpServer, Trouble, hang_up, open_smtp_server
from tests.support.waiting import wait_until

HOSTILE_SUBJECT = "=?utf-8?q?=0D=0ABcc:x@y.z?="


@pytest.fixture(params=["8BITMIME", "PIPELINING"])
def smtp_server(request: pytest.FixtureRequest) -> Iterator[SmtpServer]:
    """Yield a relay that accepts everything by default, once without and once with PIPELINING."""
    with open_smtp_server() as smtp_server:
        smtp_server.always("EHLO", f"250-mailbox\r\n250 {request.param}")
        yield smtp_server


@pytest.fixture
def sender(smtp_server: SmtpServer) -> Iterator[SmtpSender]:
    """Yield the sender under test, with short timeouts."""
    sender = make_sender(smtp_server)
    yield sender
    hang_up(sender)


def test_a_delivery_is_one_mail_to_one_recipient(smtp_server: SmtpServer, sender: SmtpSender) -> None:
    assert Outcome(OutcomeKind.SENT) == sender.send(build.claimed(recipient_id=12, address="ada@mail.example"))

    (mail,) = smtp_server.mails
    assert ("bounces+r12@postroom.example", ["ada@mail.example"]) == (mail.sender, mail.recipients)
    assert _read(mail)["Message-ID"].endswith("12@postroom.example>")


def test_mails_are_sent_one_by_one_over_one_kept_connection(smtp_server: SmtpServer, sender: SmtpSender) -> None:
    for number in (1, 2, 3):
        sender.send(build.claimed(recipient_id=number))

    dialogue = [command[:4] for command in smtp_server.commands]
    assert ["ehlo", *["MAIL", "RCPT", "DATA"] * 3] == dialogue
    assert (1, 3) == (smtp_server.connections, len(smtp_server.mails))


def test_every_attempt_sends_the_same_mail(smtp_server: SmtpServer, sender: SmtpSender) -> None:
    sender.send(build.claimed(attempt=1))
    sender.send(build.claimed(attempt=2))

    first, second = smtp_server.mails
    assert first.wire == second.wire


def test_a_mail_has_the_url_of_its_recipients_unsubscribe_page(smtp_server: SmtpServer) -> None:
    claimed = build.claimed()
    sender = make_sender(smtp_server, public_url="https://post.example")

    sender.send(claimed)
    hang_up(sender)

    header = _read(smtp_server.mails[0])["List-Unsubscribe"]
    token = header.removeprefix("<https://post.example/unsubscribe/").removesuffix(">")
    permit = Permit(claimed.account_id, claimed.read_at + LIFETIME, digest_address(claimed.address, build.PEPPER))
    assert permit == read_token(token, build.PEPPER)


def test_lines_that_begin_with_a_dot_arrive_unchanged(smtp_server: SmtpServer, sender: SmtpSender) -> None:
    body = ".\r\n..\r\n.hidden\r\nnot.hidden\r\n."

    sender.send(build.claimed(body=body))

    assert body == _read(smtp_server.mails[0]).get_content().removesuffix("\r\n")


@pytest.mark.parametrize("subject", [HOSTILE_SUBJECT, "Grüße aus Köln", "a" * 255, "=?", "ü" * 255, " outer blanks "])
def test_a_subject_arrives_unchanged(smtp_server: SmtpServer, sender: SmtpSender, subject: str) -> None:
    sender.send(build.claimed(subject=subject))

    read = _read(smtp_server.mails[0])
    assert [subject] == read.get_all("Subject")
    assert read["Bcc"] is None


def test_only_the_recipient_is_in_the_smtp_envelope(smtp_server: SmtpServer, sender: SmtpSender) -> None:
    sender.send(
        build.claimed(subject=HOSTILE_SUBJECT, sender_name=HOSTILE_SUBJECT, account_name="x@y.z, b@mail.example")
    )

    assert [["bruno@mail.example"]] == [mail.recipients for mail in smtp_server.mails]


@pytest.mark.parametrize(
    ("stage", "reply", "kind"),
    [
        # About us, not about the mailbox: a wrong setting must not fail a recipient permanently.
        ("MAIL", "550 Who are you?", OutcomeKind.TEMPORARY),
        ("MAIL", "451 Later", OutcomeKind.TEMPORARY),
        ("MAIL", "421 Closing", OutcomeKind.UNTRIED),
        ("DATA", "554 Not you", OutcomeKind.TEMPORARY),
        ("DATA", "451 Later", OutcomeKind.TEMPORARY),
        ("DATA", "421 Closing", OutcomeKind.TEMPORARY),
        # Before it heard of the mail: no attempt at all.
        ("CONNECT", "554 No", OutcomeKind.UNTRIED),
        ("CONNECT", "421 Busy", OutcomeKind.UNTRIED),
        ("EHLO", "421 Busy", OutcomeKind.UNTRIED),
        # About the mailbox.
        ("RCPT", "550 No such user", OutcomeKind.PERMANENT),
        ("RCPT", "553 Not a name", OutcomeKind.PERMANENT),
        ("RCPT", "450 Greylisted", OutcomeKind.TEMPORARY),
        ("RCPT", "552 Too many recipients", OutcomeKind.TEMPORARY),
        ("RCPT", "421 Closing", OutcomeKind.TEMPORARY),
        ("RCPT", "599-Line one\r\n599 Line two", OutcomeKind.PERMANENT),
        ("RCPT", "550-5.1.1 No such\r\n550 5.1.1 user", OutcomeKind.PERMANENT),
        # What it is about stands in a later line than is stored, or in another language.
        ("RCPT", f"550-{'See our rules. ' * 50}\r\n550 Relaying denied", OutcomeKind.TEMPORARY),
        ("DOT", f"550-{'See our rules. ' * 50}\r\n550 Relaying denied", OutcomeKind.TEMPORARY),
        ("RCPT", "550 Relais refus\u00e9", OutcomeKind.TEMPORARY),
        # Lines longer than 8 KiB break the connection; after the final dot that is an unknown outcome.
        ("RCPT", f"550 {'x' * 9000}", OutcomeKind.TEMPORARY),
        ("DOT", f"550 {'x' * 9000}", OutcomeKind.UNKNOWN),
        ("RCPT", "571 Delivery not authorized, message refused", OutcomeKind.TEMPORARY),
        ("RCPT", "252 Cannot verify, will try", OutcomeKind.SENT),
        ("RCPT", "99 Not a code", OutcomeKind.TEMPORARY),
        ("DATA", "250 Not the code for this", OutcomeKind.SENT),
        # About the mail.
        ("DOT", "550 Looks like spam", OutcomeKind.PERMANENT),
        ("DOT", "554 No", OutcomeKind.PERMANENT),
        ("DOT", "451 Later", OutcomeKind.TEMPORARY),
        ("DOT", "421 Closing", OutcomeKind.TEMPORARY),
        ("DOT", "552 Full", OutcomeKind.TEMPORARY),
        # What an invalid reply to the end of data means is unknown.
        ("DOT", "yes", OutcomeKind.UNKNOWN),
        ("DOT", "354 Go on", OutcomeKind.UNKNOWN),
        ("RCPT", "yes", OutcomeKind.TEMPORARY),
    ],
)
def test_a_reply_is_classified_by_its_stage(
    smtp_server: SmtpServer, sender: SmtpSender, stage: str, reply: str, kind: OutcomeKind
) -> None:
    smtp_server.always(stage, reply)

    assert kind is sender.send(build.claimed()).kind


def test_a_refusal_keeps_the_text_of_the_relay(smtp_server: SmtpServer, sender: SmtpSender) -> None:
    smtp_server.always("RCPT", "550 No such user")

    assert Outcome(OutcomeKind.PERMANENT, Reason.MAILBOX_REFUSED, "550 No such user") == sender.send(build.claimed())


@pytest.mark.parametrize("stage", ["MAIL", "RCPT", "DATA", "DOT"])
@pytest.mark.parametrize("reply", ["550 No", "451 Later", "421 Closing"])
def test_after_a_refusal_the_next_mail_is_sent(
    smtp_server: SmtpServer, sender: SmtpSender, stage: str, reply: str
) -> None:
    smtp_server.next(stage, reply)
    sender.send(build.claimed(recipient_id=1))
    smtp_server.mails.clear()

    # After 421 to MAIL on a new connection the relay counts as away until it is asked again, half a second later.
    wait_until(lambda: sender.send(build.claimed(recipient_id=2)) == Outcome(OutcomeKind.SENT))
    assert ["bounces+r2@postroom.example"] == [mail.sender for mail in smtp_server.mails]


def test_after_a_refusal_the_connection_is_kept(smtp_server: SmtpServer, sender: SmtpSender) -> None:
    smtp_server.next("RCPT", "550 No")
    smtp_server.next("DATA", "554 No valid recipients")  # Sent only by a relay with PIPELINING.

    sender.send(build.claimed())
    sender.send(build.claimed())

    assert 1 == smtp_server.connections
    assert "RSET" in smtp_server.commands


def test_commands_are_pipelined_only_to_a_relay_that_announces_it(smtp_server: SmtpServer, sender: SmtpSender) -> None:
    smtp_server.next("MAIL", "451 Later")

    outcome = sender.send(build.claimed())

    has_pipelining = "PIPELINING" in str(smtp_server._always["EHLO"])
    assert (OutcomeKind.TEMPORARY, "451 Later") == (outcome.kind, outcome.detail)
    assert has_pipelining == any(command.startswith("RCPT") for command in smtp_server.commands)


@pytest.mark.parametrize("data_reply", ["354 Go on", Trouble.DROP, "421 Closing"])
def test_a_refused_recipient_is_reported_whatever_the_relay_replies_to_data(
    smtp_server: SmtpServer, sender: SmtpSender, data_reply: str | Trouble
) -> None:
    smtp_server.always("RCPT", "550 No such user")
    smtp_server.always("DATA", data_reply)

    outcomes = [sender.send(build.claimed()) for _ in range(2)]

    assert [(OutcomeKind.PERMANENT, "550 No such user")] * 2 == [(each.kind, each.detail) for each in outcomes]
    assert [] == smtp_server.mails


@pytest.mark.parametrize("trouble", [Trouble.DROP, Trouble.HANG, Trouble.DRIP])
@pytest.mark.parametrize("stage", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA"])
def test_an_attempt_that_lost_its_connection_before_the_end_of_data_is_repeated(
    smtp_server: SmtpServer, sender: SmtpSender, stage: str, trouble: Trouble
) -> None:
    smtp_server.always(stage, trouble)

    outcome = sender.send(build.claimed())

    kind = OutcomeKind.UNTRIED if stage in {"CONNECT", "EHLO"} else OutcomeKind.TEMPORARY
    assert (kind, Reason.TRY_LATER) == (outcome.kind, outcome.reason)
    assert [] == smtp_server.mails


@pytest.mark.parametrize("trouble", [Trouble.DROP, Trouble.HANG, Trouble.DRIP])
def test_an_attempt_that_lost_its_connection_after_the_end_of_data_has_an_unknown_outcome(
    smtp_server: SmtpServer, trouble: Trouble
) -> None:
    smtp_server.always("DOT", trouble)
    sender = make_sender(smtp_server, send_deadline_s=0.5)

    outcome = sender.send(build.claimed())

    assert (OutcomeKind.UNKNOWN, Reason.INTERRUPTED) == (outcome.kind, outcome.reason)
    assert 1 == len(smtp_server.mails)


@pytest.mark.parametrize("stage", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "DOT"])
def test_a_relay_that_replies_very_slowly_does_not_hold_a_thread_past_the_deadline(
    smtp_server: SmtpServer, stage: str
) -> None:
    smtp_server.always(stage, Trouble.DRIP)
    sender = make_sender(smtp_server, send_deadline_s=1.0)
    started_at = monotonic()

    sender.send(build.claimed())

    assert monotonic() - started_at < 2.5


def test_a_relay_that_cannot_be_reached_costs_no_attempt() -> None:
    with open_smtp_server() as stopped_server:
        sender = make_sender(stopped_server)

    assert OutcomeKind.UNTRIED is sender.send(build.claimed()).kind
    hang_up(sender)


@pytest.mark.parametrize("farewell", [b"", b"421 4.4.2 timeout exceeded\r\n"])
def test_a_kept_connection_that_was_closed_is_replaced_within_the_same_attempt(
    smtp_server: SmtpServer, sender: SmtpSender, farewell: bytes
) -> None:
    sender.send(build.claimed(recipient_id=1))
    smtp_server.hang_up(farewell)

    assert Outcome(OutcomeKind.SENT) == sender.send(build.claimed(recipient_id=2))
    assert (2, 2) == (smtp_server.connections, len(smtp_server.mails))


def test_a_connection_is_replaced_after_a_hundred_mails(smtp_server: SmtpServer, sender: SmtpSender) -> None:
    for number in range(101):
        sender.send(build.claimed(recipient_id=number))

    assert (2, 101) == (smtp_server.connections, len(smtp_server.mails))


def test_a_message_that_cannot_be_written_as_a_mail_is_refused_without_a_connection(
    smtp_server: SmtpServer, sender: SmtpSender
) -> None:
    outcome = sender.send(build.claimed(address="ada@☃.example"))

    assert (OutcomeKind.PERMANENT, Reason.NOT_EXPRESSIBLE, 0) == (outcome.kind, outcome.reason, smtp_server.connections)


def _read(mail: ReceivedMail) -> EmailMessage:
    unstuffed = b"\r\n".join(line.removeprefix(b".") for line in mail.wire.split(b"\r\n"))
    return message_from_bytes(unstuffed, policy=policy.default)
