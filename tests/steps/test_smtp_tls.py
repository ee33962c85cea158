"""Encrypted relays, against a real SMTP server with TLS: certificates are checked, and EHLO is said again."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import SecretStr

from delivery.channels.email.sender import SmtpSender
from delivery.rules.outcomes import Outcome, OutcomeKind
from tests.support import build
from tests.support.certificates import Certificate, make_certificate
from tests.support.ports import free_port
from tests.support.smtp_sender import make_sender
from tests.support.smtp_server import SmtpServer, hang_up, open_smtp_server


class RelayHandler:
    """Takes every mail and records the commands, by the TLS state they came in."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []
        self.said: list[str] = []
        self.logins: list[tuple[bytes, bytes]] = []

    async def handle_EHLO(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Record EHLO; the extensions offered are another set inside TLS than outside."""
        del server, envelope
        self.said.append("EHLO tls" if session.ssl else "EHLO")
        session.host_name = hostname
        return [*responses[:-1], *(["250-X-INSIDE"] if session.ssl else []), responses[-1]]

    async def handle_MAIL(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Record MAIL with its options."""
        del server, session
        envelope.mail_from = address
        self.said.append(" ".join(["MAIL", *(each.partition("=")[0] for each in options)]))
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take the mail."""
        del server, session
        self.mails.append(envelope.original_content or b"")
        return "250 Taken"

    async def handle_QUIT(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Record QUIT."""
        del server, session, envelope
        self.said.append("QUIT")
        return "221 Bye"

    def log_in(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        """Accept every login and record it."""
        del server, session, envelope, mechanism
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=True)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """Make a certificate for the relay."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def handler() -> RelayHandler:
    """Make a handler without mails."""
    return RelayHandler()


@contextmanager
def relay(handler: RelayHandler, certificate: Certificate, **chosen: Any) -> Iterator[int]:
    """Serve SMTP on a port of its own: with `over_tls` from the first byte, else with STARTTLS required."""
    context = certificate.server_context()
    over_tls = chosen.pop("over_tls")
    way = {"ssl_context": context} if over_tls else {"tls_context": context, "require_starttls": True}
    controller = Controller(
        handler,
        hostname="127.0.0.1",
        port=free_port(),
        authenticator=handler.log_in,
        auth_require_tls=not over_tls,
        **way,
        **chosen,
    )
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@contextmanager
def sender(url: str, certificate: Certificate | None, **chosen: Any) -> Iterator[SmtpSender]:
    """Make a sender that trusts this certificate alone, or what the machine trusts."""
    ca_file = str(certificate.path) if certificate else ""
    sender = SmtpSender(build.settings(smtp_url=SecretStr(url), smtp_ca_file=ca_file, smtp_timeout_s=5, **chosen))
    try:
        yield sender
    finally:
        hang_up(sender)


@pytest.mark.parametrize(("scheme", "over_tls"), [("smtp+starttls", False), ("smtps", True)])
@pytest.mark.parametrize("login", ["", "post:office@", "p%C3%B6st:%C3%B6ffice@"])
def test_a_mail_goes_out_encrypted_with_and_without_a_login(
    handler: RelayHandler,
    certificate: Certificate,
    scheme: str,
    over_tls: bool,  # noqa: FBT001 - a column
    login: str,
) -> None:
    with (
        relay(handler, certificate, over_tls=over_tls) as port,
        sender(f"{scheme}://{login}127.0.0.1:{port}", certificate) as smtp,
    ):
        outcome = smtp.send(build.claimed())

    assert (Outcome(OutcomeKind.SENT), 1) == (outcome, len(handler.mails))
    users = {"": [], "post:office@": [(b"post", b"office")]}.get(login, [("pöst".encode(), "öffice".encode())])
    assert users == handler.logins


def test_after_starttls_the_conversation_begins_again_with_the_extensions_of_the_second_ehlo(
    handler: RelayHandler, certificate: Certificate
) -> None:
    with (
        relay(handler, certificate, over_tls=False) as port,
        sender(f"smtp+starttls://127.0.0.1:{port}", certificate) as smtp,
    ):
        smtp.send(build.claimed())
        (kept,) = smtp._pool._kept
        assert kept.connection is not None
        has_inner_extension = kept.connection.smtp.has_extn("x-inside")

    assert ["EHLO", "EHLO tls", "MAIL SIZE"] == handler.said
    assert has_inner_extension


@pytest.mark.parametrize(("scheme", "over_tls"), [("smtp+starttls", False), ("smtps", True)])
def test_a_relay_whose_certificate_is_not_trusted_gets_neither_login_nor_mail(
    handler: RelayHandler,
    certificate: Certificate,
    scheme: str,
    over_tls: bool,  # noqa: FBT001 - a column
) -> None:
    with (
        relay(handler, certificate, over_tls=over_tls) as port,
        sender(f"{scheme}://post:office@127.0.0.1:{port}", None) as smtp,
    ):
        outcome = smtp.send(build.claimed())

    assert OutcomeKind.UNTRIED is outcome.kind
    assert ([], []) == (handler.mails, handler.logins)


def test_a_mail_larger_than_the_relay_takes_is_refused_for_good_and_not_sent(
    handler: RelayHandler, certificate: Certificate
) -> None:
    with (
        relay(handler, certificate, over_tls=True, data_size_limit=10_000) as port,
        sender(f"smtps://127.0.0.1:{port}", certificate) as smtp,
    ):
        outcome = smtp.send(build.claimed(body="x" * 20_000))
        small = smtp.send(build.claimed(recipient_id=8))

    assert (OutcomeKind.PERMANENT, OutcomeKind.SENT) == (outcome.kind, small.kind)
    assert outcome.detail is not None
    assert "SIZE" in outcome.detail
    assert 1 == len(handler.mails)


def test_the_relay_is_told_when_a_connection_ends(handler: RelayHandler, certificate: Certificate) -> None:
    url = "smtps://127.0.0.1"
    with (
        relay(handler, certificate, over_tls=True) as port,
        sender(f"{url}:{port}", certificate, smtp_mails_per_connection=2) as smtp,
    ):
        for number in range(3):
            smtp.send(build.claimed(recipient_id=number))
        after_two = handler.said.count("QUIT")
        smtp.close()

    assert (1, 2) == (after_two, handler.said.count("QUIT"))


@pytest.fixture(params=["8BITMIME", "PIPELINING"])
def plain_relay(request: pytest.FixtureRequest) -> Iterator[SmtpServer]:
    """Yield a relay without TLS, once without and once with PIPELINING."""
    with open_smtp_server() as plain_relay:
        plain_relay.always("EHLO", f"250-mailbox\r\n250 {request.param}")
        yield plain_relay


def test_nothing_is_sent_in_the_clear_to_a_relay_without_tls(plain_relay: SmtpServer) -> None:
    sender = make_sender(plain_relay, scheme="smtp+starttls")

    assert OutcomeKind.UNTRIED is sender.send(build.claimed()).kind
    assert {"ehlo"} == {command[:4] for command in plain_relay.commands}
