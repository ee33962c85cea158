"""A real SMTP server on a port of its own that answers as a test tells it to, down to silence and broken lines."""

import socket
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum

from delivery.channels.email.sender import SmtpSender

_DRIP_EVERY_S = 0.02
_PLAIN = {
    "CONNECT": "220 mailbox",
    "EHLO": "250-mailbox\r\n250 8BITMIME",
    "MAIL": "250 OK",
    "RCPT": "250 OK",
    "DATA": "354 Go on",
    "DOT": "250 Taken",
    "RSET": "250 OK",
}


class Trouble(Enum):
    """What a server does instead of answering."""

    DROP = "close the connection"
    HANG = "say nothing and keep the connection"
    DRIP = "begin an answer and never end it"


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """A mail as it came over the wire, dots still doubled, and its envelope."""

    sender: str
    recipients: list[str]
    wire: bytes


@dataclass
class SmtpServer:
    """What the server was told to answer, and what it was told by its clients.

    Stages are CONNECT, EHLO, STARTTLS, MAIL, RCPT, DATA, DOT (after the mail) and RSET.
    """

    port: int
    commands: list[str] = field(default_factory=list)
    mails: list[ReceivedMail] = field(default_factory=list)
    connections: int = 0
    tls: ssl.SSLContext | None = None
    _always: dict[str, str | Trouble] = field(default_factory=dict)
    _next: dict[str, deque[str | Trouble]] = field(default_factory=lambda: defaultdict(deque))
    _live: list[socket.socket] = field(default_factory=list)
    _is_closing: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """The address of this server as a setting."""
        return f"smtp://127.0.0.1:{self.port}"

    def always(self, stage: str, answer: str | Trouble) -> None:
        """Answer so whenever this stage is reached."""
        self._always[stage] = answer

    def next(self, stage: str, *answers: str | Trouble) -> None:
        """Answer so the next times, then as always."""
        self._next[stage].extend(answers)

    def hang_up(self, farewell: bytes = b"") -> None:
        """Close every connection, perhaps with a last word that nobody asked for."""
        for each in self._live:
            with suppress(OSError):
                each.sendall(farewell)
                each.shutdown(socket.SHUT_RDWR)
        self._live.clear()

    def _answer_for(self, stage: str) -> str | Trouble:
        waiting = self._next[stage]
        return waiting.popleft() if waiting else self._always.get(stage, _PLAIN.get(stage, "502 Not here"))


@contextmanager
def open_smtp_server() -> Iterator[SmtpServer]:
    """Serve a mailbox until the block ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        smtp_server = SmtpServer(listener.getsockname()[1])
        thread = threading.Thread(target=_serve, args=(smtp_server, listener), name="mailbox")
        thread.start()
        try:
            yield smtp_server
        finally:
            smtp_server._is_closing.set()
            listener.shutdown(socket.SHUT_RDWR)
            smtp_server.hang_up()
            thread.join()


def hang_up(sender: SmtpSender) -> None:
    """Close every connection that this sender keeps."""
    for line in sender._pool._kept:
        line.drop()


def _serve(smtp_server: SmtpServer, listener: socket.socket) -> None:
    talks = []
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            break
        smtp_server.connections += 1
        smtp_server._live.append(connection)
        talks.append(threading.Thread(target=_talk, args=(smtp_server, connection), name="mailbox talk"))
        talks[-1].start()
    smtp_server.hang_up()
    for each in talks:
        each.join()


class _Finished(Exception):  # noqa: N818 - nothing went wrong
    """The connection is over."""


def _talk(smtp_server: SmtpServer, connection: socket.socket) -> None:
    talk = _ClientConversation(smtp_server, connection)
    with suppress(_Finished, OSError, ValueError):
        talk.say("CONNECT")
        while True:
            talk.hear_command()
    talk.close()


class _ClientConversation:
    """One connection."""

    def __init__(self, smtp_server: SmtpServer, connection: socket.socket) -> None:
        self._mailbox = smtp_server
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._sender = ""
        self._recipients: list[str] = []

    def close(self) -> None:
        """End it."""
        with suppress(OSError):
            self._lines.close()
        self._connection.close()

    def say(self, stage: str) -> bool:
        """Answer this stage; say whether with good words."""
        answer = self._mailbox._answer_for(stage)
        if isinstance(answer, str):
            self._connection.sendall(f"{answer}\r\n".encode())
            return answer[0] in "23"
        if answer is Trouble.DRIP:
            self._drip()
        elif answer is Trouble.HANG:
            self._lines.read()
        raise _Finished

    def hear_command(self) -> None:
        """Take one command."""
        line = self._lines.readline().decode().rstrip("\r\n")
        if not line:
            raise _Finished
        self._mailbox.commands.append(line)
        verb = line[:4].upper()
        stage = "STARTTLS" if verb == "STAR" else verb
        is_good = self.say(stage)
        if is_good:
            self._follow(verb, line)

    def _follow(self, verb: str, line: str) -> None:
        if verb == "MAIL":
            self._sender, self._recipients = _address(line), []
        elif verb == "RCPT":
            self._recipients.append(_address(line))
        elif verb == "DATA":
            self._take_mail()
        elif verb == "STAR" and self._mailbox.tls is not None:
            self._connection = self._mailbox.tls.wrap_socket(self._connection, server_side=True)
            self._lines = self._connection.makefile("rb")

    def _take_mail(self) -> None:
        wire = bytearray()
        while (line := self._lines.readline()) != b".\r\n":
            if not line:
                raise _Finished
            wire += line
        self._mailbox.mails.append(ReceivedMail(self._sender, self._recipients, bytes(wire)))
        self.say("DOT")

    def _drip(self) -> None:
        while not self._mailbox._is_closing.wait(_DRIP_EVERY_S):
            self._connection.sendall(b"250-still thinking\r\n")


def _address(line: str) -> str:
    return line.partition("<")[2].partition(">")[0]
