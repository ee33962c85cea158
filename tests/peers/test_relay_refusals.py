"""Refusals of real mail servers: about us they fail no recipient, about the recipient or the size they are final."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from pydantic import SecretStr

from delivery.channels.email.sender import SmtpSender
from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.vocabulary import Reason
from tests.peers.mail_servers import MailServer, open_exim, open_opensmtpd, open_postfix
from tests.support import build
from tests.support.smtp_server import hang_up

pytestmark = [pytest.mark.xdist_group("mail_servers"), pytest.mark.timeout(300)]
Opener: TypeAlias = Callable[[Path, str], AbstractContextManager[MailServer]]


@dataclass(frozen=True, slots=True)
class RelayRefusal:
    """A server's configuration, the mail that it refuses, and what its refusal is."""

    more: str
    words: str
    kind: OutcomeKind = OutcomeKind.TEMPORARY
    connection: str = "plain"
    settings: dict[str, Any] = field(default_factory=dict)
    mail: dict[str, Any] = field(default_factory=dict)


_FINAL = OutcomeKind.PERMANENT
_TOO_LONG = {"body": "🌍" * 65_000}
_BLOCKED = "554 5.7.1 Service unavailable; Client host [127.0.0.1] blocked using list.example"

POSTFIX = {
    "no relaying": RelayRefusal(
        "mynetworks =\nvirtual_mailbox_domains =\nsmtpd_relay_restrictions = reject_unauth_destination\n",
        "554 5.7.1 <bruno@mail.example>: Relay access denied",
    ),
    "no login": RelayRefusal("mynetworks =\nsmtpd_relay_restrictions = reject\n", "Access denied"),
    "a wrong password": RelayRefusal(
        "", "535 5.7.8", OutcomeKind.UNTRIED, settings={"login": "postroom:wrong"}, connection="submission"
    ),
    "a block list, told at RCPT": RelayRefusal(
        f"smtpd_client_restrictions = check_client_access static:{{{_BLOCKED}}}\n", "blocked using list.example"
    ),
    "a block list, told at once": RelayRefusal(
        f"smtpd_delay_reject = no\nsmtpd_client_restrictions = check_client_access static:{{{_BLOCKED}}}\n",
        "blocked using list.example",
        OutcomeKind.UNTRIED,
    ),
    "the name in EHLO": RelayRefusal(
        "smtpd_helo_restrictions = reject_non_fqdn_helo_hostname\n",
        "504 5.5.2 <localhost>: Helo command rejected: need fully-qualified hostname",
        settings={"mail_domain": "localhost"},
    ),
    "the sender, not logged in": RelayRefusal(
        "smtpd_sasl_auth_enable = yes\nsmtpd_sender_login_maps = static:another\n"
        "smtpd_sender_restrictions = reject_sender_login_mismatch\n",
        "553 5.7.1",
    ),
    "the sender's domain": RelayRefusal(
        "smtpd_sender_restrictions = check_sender_access static:{550 5.1.8 Domain not found}\n", "Domain not found"
    ),
    "no encryption": RelayRefusal("smtpd_tls_security_level = encrypt\n", "530 5.7.0 Must issue a STARTTLS"),
    "policy at the final dot": RelayRefusal(
        "smtpd_end_of_data_restrictions = check_sender_access static:{554 5.7.1 Message rejected by policy}\n", "5.7.1"
    ),
    "a full disk": RelayRefusal("queue_minfree = 9000000000000000000\n", "452 4.3.1"),
    "a size that it names": RelayRefusal("message_size_limit = 200000\n", "SIZE", _FINAL, mail=_TOO_LONG),
    "a size that it does not name": RelayRefusal(
        "message_size_limit = 200000\nsmtpd_discard_ehlo_keywords = size\n",
        "552 5.3.4 Error: message file too big",
        _FINAL,
        mail=_TOO_LONG,
    ),
    "an unknown user": RelayRefusal("", "550 5.1.1", _FINAL, mail={"address": "invented@mail.example"}),
}
EXIM = {
    "no login": RelayRefusal("", "authentication required", connection="other port"),
    "a size that it names": RelayRefusal("message_size_limit = 200000\n", "SIZE", _FINAL, mail=_TOO_LONG),
    "a full disk": RelayRefusal("check_spool_space = 900000G\n", "452"),
}


@pytest.mark.parametrize("name", POSTFIX)
def test_a_refusal_of_postfix_is_judged_by_what_it_is_about(name: str, open_folder: Path) -> None:
    check(POSTFIX[name], open_postfix, open_folder / f"postfix-{list(POSTFIX).index(name)}")


@pytest.mark.parametrize("name", EXIM)
def test_a_refusal_of_exim_is_judged_by_what_it_is_about(name: str, open_folder: Path) -> None:
    check(EXIM[name], open_exim, open_folder / f"exim-{list(EXIM).index(name)}")


def check(refusal: RelayRefusal, opener: Opener, folder: Path) -> None:
    """Send one mail to a server of this configuration, and compare the outcome."""
    with opener(folder, refusal.more) as server:
        outcome = send(server, refusal)

    assert (refusal.kind, True) == (outcome.kind, refusal.words in (outcome.detail or "")), outcome
    if refusal.kind is _FINAL:
        assert Reason.MAILBOX_REFUSED is outcome.reason


def send(server: MailServer, refusal: RelayRefusal) -> Outcome:
    """Send one mail from this process."""
    chosen = dict(refusal.settings)
    url = server.url(refusal.connection)
    if login := chosen.pop("login", None):
        url = f"smtp+starttls://{login}@{url.rpartition('@')[2]}"
    if refusal.connection == "other port":
        url = f"smtp://127.0.0.1:{server.ports['submission']}"
    facts = {"smtp_url": SecretStr(url), "smtp_ca_file": str(server.certificate.path), **chosen}
    sender = SmtpSender(build.settings(**facts))
    outcome = sender.send(build.claimed(**refusal.mail))
    hang_up(sender)
    return outcome


def test_a_handshake_that_breaks_at_opensmtpd_costs_no_attempt(open_folder: Path) -> None:
    with open_opensmtpd(open_folder / "opensmtpd-tls") as server:
        outcome = send(server, RelayRefusal("", "", connection="starttls"))

    assert OutcomeKind.UNTRIED is outcome.kind
    assert "ssl" in (outcome.detail or "").lower()
