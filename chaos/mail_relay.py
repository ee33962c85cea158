"""The mail relay of a trial: accepts mail well, or badly at any stage, and records what it accepted."""

import random
from dataclasses import dataclass
from email import message_from_bytes, policy
from time import time

from tests.support.smtp_server import REPLIES, FinalReply, ReceivedMail, Reply, SmtpServer, Trouble, address_in

_STAGES = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "DOT")
_REPLIES = {**REPLIES, "EHLO": "250 relay"}
_GARBAGE = "???? \x01\x02 what"
_TROUBLES = (FinalReply("421 Going away"), "451 Not now", "550 Never", Trouble.TARPIT, Trouble.DROP, _GARBAGE)
_REFUSING_HOSTS = {"refusing.example": "550 No such mailbox", "busy.example": "451 Later"}


@dataclass(frozen=True, slots=True)
class Copy:
    """One accepted mail: its recipient (from the envelope), subject and Message-ID, and when its final dot came."""

    address: str
    subject: str
    mail_id: str
    taken_at: float


class MailRelay(SmtpServer):
    """An SMTP server of a trial.

    `hostility` is about the share of mails that something goes wrong with. Addresses at `refusing.example` are always
    refused for good, and those at `busy.example` for a while.
    """

    def __init__(self, seed: int, address: str = "127.0.0.1") -> None:
        self.hostility = 0.0
        self.copies: list[Copy] = []
        self._random = random.Random(seed)
        super().__init__(address=address)

    def reply_to(self, stage: str, line: str) -> Reply:
        """Choose the reply to a stage: the correct one, or a random trouble."""
        host = address_in(line).rpartition("@")[2] if stage == "RCPT" else ""
        if host in _REFUSING_HOSTS:
            return _REFUSING_HOSTS[host]
        is_hostile = stage in _STAGES and self._random.random() < self.hostility / len(_STAGES)
        trouble = self._random.choice(_TROUBLES) if is_hostile else None
        if trouble is None or (stage == "CONNECT" and trouble == _GARBAGE):
            return _REPLIES.get(stage, "250 OK")
        return trouble

    def keep(self, mail: ReceivedMail, reply: Reply) -> None:
        """Record a mail unless it is refused. After any other trouble the relay has it and the sender cannot know."""
        if isinstance(reply, str) and reply[0] in "45":
            return
        headers = message_from_bytes(mail.wire, policy=policy.default)
        for address in mail.recipients:
            self.copies.append(Copy(address, str(headers["Subject"]), str(headers["Message-ID"]), time()))
