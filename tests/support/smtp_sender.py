"""A sender under test, which waits only briefly for the SMTP server of the test."""

from typing import Any

from pydantic import SecretStr

from delivery.channels.email.sender import SmtpSender
from tests.support import build
from tests.support.smtp_server import SmtpServer


def make_sender(smtp_server: SmtpServer, *, scheme: str = "smtp", **chosen: Any) -> SmtpSender:
    """Make a sender to this server, with timeouts of 0.3 s for a reply and 1.5 s for a mail."""
    url = SecretStr(smtp_server.url.replace("smtp:", f"{scheme}:"))
    return SmtpSender(build.settings(**{"smtp_url": url, "smtp_timeout_s": 0.3, "send_deadline_s": 1.5, **chosen}))
