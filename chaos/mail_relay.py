"""The mail relay of a trial: takes mail well, or badly at any stage, and keeps a ledger of what it took."""

import random
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from time import time

_TARPIT_S = 3.0
_STAGES = ("CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "DOT")
_GOOD = {"CONNECT": "220 here", "EHLO": "250 here", "MAIL": "250 OK", "RCPT": "250 OK", "DATA": "354 Go on"}
_TROUBLES = ("421 Going away", "451 Not now", "550 Never", "tarpit", "drop", "garbage")
# What a final dot may meet after the mail was taken: the relay has it, and the sender cannot know.
_TAKEN_ALL_THE_SAME = frozenset({"tarpit", "drop", "garbage"})


@dataclass(frozen=True, slots=True)
class Copy:
    """One mail that was taken: for whom (the envelope), what it was about, and when its final dot came."""

    address: str
    subject: str
    mail_id: str
    taken_at: float


@dataclass
class MailRelay:
    """An SMTP server on a port of its own.

    `hostility` is about the share of mails that something goes wrong with. Addresses at `refusing.example` are refused
    for good and those at `busy.example` for a while, always.
    """

    seed: int
    hostility: float = 0.0
    copies: list[Copy] = field(default_factory=list)
    troubles: int = 0

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)
        self._is_closed = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="mailhost", daemon=True).start()

    def close(self) -> None:
        """Take no more mail."""
        self._is_closed.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def keep(self, address: str, content: bytes) -> None:
        """Write a mail into the ledger."""
        mail = message_from_bytes(content, policy=policy.default)
        self.copies.append(Copy(address, str(mail["Subject"]), str(mail["Message-ID"]), time()))

    def draw_trouble(self) -> str | None:
        """Draw what goes wrong at a stage, or nothing."""
        if self._chance.random() >= self.hostility / len(_STAGES):
            return None
        self.troubles += 1
        return self._chance.choice(_TROUBLES)

    def wait(self, duration_s: float) -> None:
        """Let time pass, unless the trial is over."""
        self._is_closed.wait(duration_s)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=_talk, args=(self, connection), name="mailhost talk", daemon=True).start()


def _talk(host: MailRelay, connection: socket.socket) -> None:
    with suppress(OSError, _ConversationOver), connection, connection.makefile("rb") as lines:
        talk = _Conversation(host, connection)
        talk.answer("CONNECT", _GOOD["CONNECT"])
        while line := lines.readline():
            if talk.hear(line.decode("utf-8", "replace").strip()):
                talk.take(lines)


class _ConversationOver(Exception):  # noqa: N818 - nothing went wrong
    """The connection is over."""


class _Conversation:
    """One connection."""

    def __init__(self, host: MailRelay, connection: socket.socket) -> None:
        self._host = host
        self._connection = connection
        self._addresses: list[str] = []

    def hear(self, line: str) -> bool:
        """Take one command; say whether a mail follows."""
        verb = line[:4].upper()
        if verb == "RCPT":
            self._hear_rcpt(line.partition("<")[2].partition(">")[0])
            return False
        if verb == "MAIL":
            self._addresses = []
        is_good = self.answer(verb, _GOOD.get(verb, "250 OK"))
        if verb == "QUIT":
            raise _ConversationOver
        return verb == "DATA" and is_good

    def answer(self, stage: str, good: str) -> bool:
        """Answer this stage; say whether well."""
        trouble = self._host.draw_trouble() if stage in _STAGES else None
        if trouble is None or (stage == "CONNECT" and trouble == "garbage"):
            self._say(good)
            return True
        if trouble == "tarpit":
            self._host.wait(_TARPIT_S)
        if trouble in {"tarpit", "drop"}:
            raise _ConversationOver
        self._say("???? \x01\x02 what" if trouble == "garbage" else trouble)
        if trouble.startswith("421"):
            raise _ConversationOver
        return False

    def take(self, lines: "object") -> None:
        """Take a mail and answer its final dot."""
        content = bytearray()
        while (line := lines.readline()) != b".\r\n":  # type: ignore[attr-defined] # a file of bytes
            if not line:
                raise _ConversationOver
            content += line.removeprefix(b".") if line.startswith(b"..") else line
        trouble = self._host.draw_trouble()
        if trouble is None or trouble in _TAKEN_ALL_THE_SAME:
            for address in self._addresses:
                self._host.keep(address, bytes(content))
        self._end(trouble)

    def _end(self, trouble: str | None) -> None:
        if trouble == "tarpit":
            self._host.wait(_TARPIT_S)
        if trouble in {"tarpit", "drop"}:
            raise _ConversationOver
        self._say({None: "250 Taken", "garbage": "???? what"}.get(trouble, trouble or ""))

    def _hear_rcpt(self, address: str) -> None:
        host = address.rpartition("@")[2]
        if host == "refusing.example":
            self._say("550 No such mailbox")
        elif host == "busy.example":
            self._say("451 Later")
        elif self.answer("RCPT", _GOOD["RCPT"]):
            self._addresses.append(address)

    def _say(self, line: str) -> None:
        self._connection.sendall(f"{line}\r\n".encode())
