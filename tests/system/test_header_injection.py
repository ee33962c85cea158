"""Texts that try to inject mail headers arrive unchanged in the right header, or are refused."""

from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses
from typing import Any
from uuid import uuid4

import httpx2
import pytest

from delivery.detection.sender_names import misleading_name, without_hidden
from tests.support.platform import Platform
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("platform")

_BCC = "victim@example.com"
_HEADERS = {
    "From", "To", "Reply-To", "Subject", "Date", "Message-ID", "List-Unsubscribe", "List-Unsubscribe-Post",
    "Auto-Submitted", "MIME-Version", "Content-Type", "Content-Transfer-Encoding",
}  # fmt: skip
# Legal texts that some programs that write or read mail treat as more than text.
_LEGAL = [
    f"=?utf-8?q?=0D=0ABcc:{_BCC}?=",
    "=?utf-8?B?DQpCY2M6IHZpY3RpbUBleGFtcGxlLmNvbQ==?=",
    f"=?utf-8?q?a?= =?utf-8?q?=0D=0ABcc:_{_BCC}?=",
    f"=?us-ascii?q?=0ABcc=3A{_BCC}?= Ada",
    "=?utf-8?q?unfinished",
    "=?=?=?utf-8?=",
    f"Bcc: {_BCC}",
    f"Ada <{_BCC}>",
    f"{_BCC}, Ada",
    f'"Ada" <{_BCC}>, "',
    f'Ada" <{_BCC}>, "B',
    f'Ada\\" <{_BCC}>',
    f"Ada (comment) {_BCC}",
    f"Ada; {_BCC}: group;",
    "Ada\\",
    " leading and trailing ",
    "two  blanks   and more",
    "a\u00a0b\u3000c",
    f"Zoë\u200b<{_BCC}>",
    f"%0d%0aBcc:{_BCC}",
    f"\\r\\nBcc: {_BCC}",
    f"&#13;&#10;Bcc: {_BCC}",
    f"嘊嘍Bcc: {_BCC}",
    "x" * 120,
    "wort " * 23 + "ende",
    "😀" * 120,
    "é" * 59 + " =?utf-8?q?a?= " + "é" * 40,
    ".",
    "{0} %s ${IFS} `id`",
    "<script>alert(1)</script>",
]
_FORBIDDEN = ["\r\n", "\n", "\r", "\0", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\r\n ", "\n\t"]


@pytest.mark.parametrize("text", _LEGAL)
def test_a_hostile_text_arrives_unchanged(platform: Platform, text: str) -> None:
    account_id = _create_account(platform, name=text)
    hostile = {"sender_name": text, "sender_email": "=?utf-8?q?a?=@example.com", "subject": text, "body": f".\n{text}"}

    sent = _send(platform, account_id, **hostile)

    mail = _mail(platform, sent.json()["meta"]["message_uuid"])
    assert set(mail.keys()) <= _HEADERS
    assert len(mail.keys()) == len(set(mail.keys()))
    assert text == _read(mail["Subject"])
    shown = f'"{without_hidden(text)}" via Postroom' if misleading_name(text, ("Postroom",)) else text
    assert (shown, "messages@postroom.localhost") == _read_address(mail["From"])
    assert (text, f"{account_id}@example.com") == _read_address(mail["To"])
    assert (f"{shown} (unverified address)", "=?utf-8?q?a?=@example.com") == _read_address(mail["Reply-To"])
    assert f".\n{text}" == _body(mail).rstrip("\n")


@pytest.mark.parametrize("text", _FORBIDDEN, ids=ascii)
def test_a_line_break_in_a_header_is_refused_and_nothing_is_sent(platform: Platform, text: str) -> None:
    account_id = _create_account(platform, name="Ada")
    injected = f"Ada{text}Bcc: {_BCC}"

    answers = [_send(platform, account_id, **{field: injected}) for field in ("sender_name", "subject", "sender_email")]
    renamed = _put(platform, account_id, {"name": injected, "email": f"{account_id}@example.com"})
    moved = _put(platform, account_id, {"name": "Ada", "email": f"ada@example.com{text}Bcc: {_BCC}"})

    assert [400] * 5 == [answer.status_code for answer in (*answers, renamed, moved)]
    assert [] == [mail for mail in platform.mails() if f"{account_id}@example.com" in mail["rcpt_to"]]


def test_no_mail_was_sent_to_the_injected_address(platform: Platform) -> None:
    assert [] == [mail for mail in platform.mails() if _BCC in mail["rcpt_to"]]


def _put(platform: Platform, account_id: str, fields: dict[str, Any], below: str = "") -> httpx2.Response:
    url = f"{platform.facts['base_url']}/accounts/{account_id}{below}"
    return httpx2.put(url, json=fields, headers=platform.headers)


def _create_account(platform: Platform, name: str) -> str:
    """Create an account that is reached by e-mail, and return its id."""
    account_id = str(uuid4())
    assert 201 == _put(platform, account_id, {"name": name, "email": f"{account_id}@example.com"}).status_code
    assert 200 == _put(platform, account_id, {"channel": "email"}, "/preferences").status_code
    return account_id


def _send(platform: Platform, account_id: str, **fields: str) -> httpx2.Response:
    message = {"recipient_uuids": [account_id], "sender_name": "Ada", "subject": "Hello", "body": "A word.", **fields}
    return httpx2.post(
        f"{platform.facts['base_url']}/messages",
        json=message,
        headers={**platform.headers, "Prefer": "wait=10"},
        timeout=15,
    )


def _mail(platform: Platform, message_uuid: str) -> Message:
    id_part = message_uuid.replace("-", "")

    def found() -> list[str]:
        return [each["raw"] for each in platform.mails() if id_part in each["raw"].partition("\n\n")[0]]

    wait_until(found)
    (raw,) = found()
    return message_from_bytes(raw.encode("utf-8", "surrogateescape"), policy=policy.compat32)


def _read(value: str) -> str:
    return str(make_header(decode_header(value.replace("\r\n", "").replace("\n", ""))))


def _read_address(value: str) -> tuple[str, str]:
    ((name, address),) = getaddresses([value])
    return _read(name), address


def _body(mail: Message) -> str:
    payload = mail.get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload.decode().replace("\r\n", "\n")
