"""A sender that must use TLS sends nothing to a relay without it, or with an untrusted certificate."""

import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.rules.outcomes import OutcomeKind
from tests.support import build
from tests.support.smtp_sender import make_sender
from tests.support.smtp_server import SmtpServer, open_smtp_server


@pytest.fixture(params=["8BITMIME", "PIPELINING"])
def smtp_server(request: pytest.FixtureRequest) -> Iterator[SmtpServer]:
    """Yield a relay without TLS, once without and once with PIPELINING."""
    with open_smtp_server() as smtp_server:
        smtp_server.always("EHLO", f"250-mailbox\r\n250 {request.param}")
        yield smtp_server


def test_nothing_is_sent_in_the_clear_to_a_relay_without_tls(smtp_server: SmtpServer) -> None:
    sender = make_sender(smtp_server, scheme="smtp+starttls")

    assert OutcomeKind.TEMPORARY is sender.send(build.claimed()).kind
    assert {"ehlo"} == {command[:4] for command in smtp_server.commands}


def test_a_relay_with_an_untrusted_certificate_gets_no_mail(smtp_server: SmtpServer, tmp_path: Path) -> None:
    smtp_server.tls = _self_signed(tmp_path)
    smtp_server.always("EHLO", "250-mailbox\r\n250 STARTTLS")
    smtp_server.always("STARTTLS", "220 Go on")
    sender = make_sender(smtp_server, scheme="smtp+starttls")

    assert OutcomeKind.TEMPORARY is sender.send(build.claimed()).kind
    assert [] == smtp_server.mails


def _self_signed(folder: Path) -> ssl.SSLContext:
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=mailbox"
    subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
