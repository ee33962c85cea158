"""Mails arrive unchanged through real mail servers, by each kind of connection that the documents name."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from delivery.settings import Settings
from delivery.vocabulary import Channel
from tests.peers.mail_servers import USER, MailServer, open_exim, open_opensmtpd, open_postfix
from tests.support.api_client import key_of
from tests.support.fixtures import Fixtures
from tests.support.process_group import API, DECIDE, SMTP, ProcessGroup
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.xdist_group("mail_servers"), pytest.mark.timeout(300)]

Opener: TypeAlias = Callable[[Path], AbstractContextManager[MailServer]]
_ARRIVED_S = 30.0
_SUBJECT = "Übersetzung für 東京 🌍, " + "sehr " * 20
_BODY = "From the first line\n.\n..two dots, a tab\tand a trailing blank \n" + "ein langes Wörtchen " * 200 + "\n"


def test_postfix_takes_mails_by_every_kind_of_connection(
    group: ProcessGroup, fixtures: Fixtures, base_settings: Settings, open_folder: Path
) -> None:
    with open_postfix(open_folder / "postfix") as server:
        _try_each(group, fixtures, base_settings, server, ("plain", "starttls", "submission", "smtps"))


def test_exim_takes_mails_by_every_kind_of_connection(
    group: ProcessGroup, fixtures: Fixtures, base_settings: Settings, open_folder: Path
) -> None:
    with open_exim(open_folder / "exim") as server:
        _try_each(group, fixtures, base_settings, server, ("plain", "starttls", "submission", "smtps"))


def test_opensmtpd_takes_plain_mails(
    group: ProcessGroup, fixtures: Fixtures, base_settings: Settings, open_folder: Path
) -> None:
    with open_opensmtpd(open_folder / "opensmtpd") as server:
        _try_each(group, fixtures, base_settings, server, ("plain",))


def _try_each(
    group: ProcessGroup, fixtures: Fixtures, settings: Settings, server: MailServer, kinds: tuple[str, ...]
) -> None:
    """Send one message by each kind of connection, and check the mail that arrives."""
    group.key = key_of(fixtures, settings, fixtures.client_id)
    group.start(API, DECIDE)
    group.await_ready(fixtures.database)
    for kind in kinds:
        address = f"{kind}@example.com"
        account = fixtures.account(Channel.EMAIL, email=address)
        group.start(SMTP, SMTP_URL=server.url(kind), POSTROOM_SMTP_CA_FILE=str(server.certificate.path))
        sender: dict[str, Any] = {"sender_name": "Zoë", "sender_email": "zoe@example.com"}
        answer = group.post(account, subject=_SUBJECT, body=_BODY, **sender)
        assert 201 == answer.status_code, answer.text
        wait_until(lambda address=address: _mail_to(server, address), within_s=_ARRIVED_S)  # type: ignore[misc] # bound now
        _check(_mail_to(server, address), kind, answer.json()["meta"]["message_uuid"])
        wait_until(lambda answer=answer: group.status_of(answer) == "delivered", within_s=_ARRIVED_S)  # type: ignore[misc] # bound now
        group.stop(SMTP)
    assert len(kinds) == len(server.mails())


def _mail_to(server: MailServer, address: str) -> EmailMessage | None:
    return next((mail for mail in server.mails() if mail["to"] and address in str(mail["to"])), None)


def _check(mail: EmailMessage | None, kind: str, message_id: str) -> None:
    assert mail is not None
    assert _SUBJECT.strip() == mail["subject"].strip()
    assert _BODY == mail.get_content().replace("\r\n", "\n")
    assert "Zoë" in mail["from"]
    assert "zoe@example.com" in mail["reply-to"]
    assert message_id
    (received,) = mail.get_all("received", [])
    protocol = {"plain": "ESMTP", "starttls": "ESMTPS"}.get(kind, "ESMTPSA")
    assert protocol in str(received).upper().split(), received
    if protocol == "ESMTPSA":
        assert USER in str(received), received
