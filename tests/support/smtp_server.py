"""An SMTP server for tests and trials. Its replies are scripted, down to silence, broken lines and closed sockets.

The mail sink (`worker/embedded/mail_sink.py`) is a part of the product, and the sink of the benchmarks
(`benchmarks/smtp_sink.py`) has to be lean, so that it does not limit what is measured.
"""

import socket
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from enum import Enum

from delivery.channels.email.sender import SmtpSender

_DRIP_EVERY_S = 0.02
_TARPIT_S = 3.0


class Trouble(Enum):
    """What the server does instead of replying."""

    DROP = "close the connection"
    HANG = "send nothing and keep the connection"
    DRIP = "begin a reply and never end it"
    TARPIT = "send nothing for 3 s, then close the connection"


class FinalReply(str):
    """A reply after which the server closes the connection."""

    __slots__ = ()


_TOO_MANY = FinalReply("421 4.7.0 mailbox Error: too many connections from 127.0.0.1")
Reply = str | Trouble
REPLIES: dict[str, Reply] = {
    "CONNECT": "220 mailbox",
    "EHLO": "250-mailbox\r\n250 8BITMIME",
    "MAIL": "250 OK",
    "RCPT": "250 OK",
    "DATA": "354 Go on",
    "DOT": "250 Taken",
    "RSET": "250 OK",
    "QUIT": FinalReply("221 Bye"),
}


@dataclass(frozen=True, slots=True)
class ReceivedMail:
    """A mail as it came over the wire, dots still doubled, and its envelope."""

    sender: str
    recipients: list[str]
    wire: bytes


class SmtpServer:
    """A server on a port of its own, from its construction until `close`; it records commands and mails.

    Above `connection_limit` connections it refuses another one with 421, as Postfix does.
    Stages are CONNECT, EHLO, STARTTLS, MAIL, RCPT, DATA, DOT (after the mail), RSET and QUIT.
    """

    def __init__(self, port: int = 0, address: str = "127.0.0.1") -> None:
        self.connection_limit = 10_000
        self._admitted = 0
        self._lock = threading.Lock()
        self.commands: list[str] = []
        self.mails: list[ReceivedMail] = []
        self.connections = 0
        self.tls: ssl.SSLContext | None = None
        self.is_closing = threading.Event()
        self._always: dict[str, Reply] = {}
        self._next: dict[str, deque[Reply]] = defaultdict(deque)
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server((address, port), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="SMTP server", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The address of this server as a setting."""
        return f"smtp://127.0.0.1:{self.port}"

    def always(self, stage: str, reply: Reply) -> None:
        """Reply so whenever this stage is reached."""
        self._always[stage] = reply

    def next(self, stage: str, *replies: Reply) -> None:
        """Reply so the next times, then as always."""
        self._next[stage].extend(replies)

    def reply_to(self, stage: str, line: str) -> Reply:
        """Choose the reply to a stage, and record the command line that led to it ("" for CONNECT and DOT)."""
        if line:
            self.commands.append(line)
        waiting = self._next[stage]
        return waiting.popleft() if waiting else self._always.get(stage, REPLIES.get(stage, "502 Not here"))

    @contextmanager
    def admit(self) -> Iterator[bool]:
        """Admit a connection for the block, or return that there are as many as `connection_limit` already."""
        with self._lock:
            is_admitted = self._admitted < self.connection_limit
            self._admitted += is_admitted
        try:
            yield is_admitted
        finally:
            with self._lock:
                self._admitted -= is_admitted

    def keep(self, mail: ReceivedMail, reply: Reply) -> None:
        """Record a mail that this reply is about to be sent for."""
        del reply
        self.mails.append(mail)

    def hang_up(self, farewell: bytes = b"") -> None:
        """Close every connection, perhaps after a last line that is no reply to a command."""
        for each in list(self._open):
            with suppress(OSError):
                each.sendall(farewell)
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close every connection and accept no more."""
        self.is_closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self.hang_up()
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        threads: list[threading.Thread] = []
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                threads = [each for each in threads if each.is_alive()]
                threads.append(threading.Thread(target=self._talk, args=(connection,), name="SMTP client", daemon=True))
                self._open.add(connection)
                threads[-1].start()
        self.hang_up()
        for each in threads:
            each.join()

    def _talk(self, connection: socket.socket) -> None:
        conversation = _Conversation(self, connection)
        with suppress(_ConversationOver, OSError, ValueError):
            conversation.run()
        conversation.close()
        self._open.discard(connection)


@contextmanager
def open_smtp_server(port: int = 0) -> Iterator[SmtpServer]:
    """Run an SMTP server until the block ends, on any free port or on this one."""
    with closing(SmtpServer(port)) as smtp_server:
        yield smtp_server


def hang_up(sender: SmtpSender) -> None:
    """Close every connection that this sender keeps, and let it open no other."""
    sender._pool._is_closed.set()
    for connection in sender._pool._kept:
        connection.drop()


def address_in(line: str) -> str:
    """Return the address in a MAIL or RCPT command."""
    return line.partition("<")[2].partition(">")[0]


class _ConversationOver(Exception):  # noqa: N818 - nothing went wrong
    """The connection is to be closed."""


class _Conversation:
    """One connection of a client."""

    def __init__(self, server: SmtpServer, connection: socket.socket) -> None:
        self._server = server
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._sender = ""
        self._recipients: list[str] = []

    def run(self) -> None:
        """Greet the client and follow its commands. Raises `_ConversationOver`."""
        with self._server.admit() as is_admitted:
            self._send(self._server.reply_to("CONNECT", "") if is_admitted else _TOO_MANY)
            self._converse()

    def _converse(self) -> None:
        while line := self._lines.readline().decode().rstrip("\r\n"):
            verb = line[:4].upper()
            if self._send(self._server.reply_to("STARTTLS" if verb == "STAR" else verb, line)):
                self._follow(verb, line)

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):
            self._lines.close()
        self._connection.close()

    def _send(self, reply: Reply) -> bool:
        """Send a reply, or make the trouble it stands for; return whether the reply is positive."""
        if isinstance(reply, str):
            self._connection.sendall(f"{reply}\r\n".encode())
            if isinstance(reply, FinalReply):
                raise _ConversationOver
            return reply[0] in "23"
        if reply is Trouble.DRIP:
            while not self._server.is_closing.wait(_DRIP_EVERY_S):
                self._connection.sendall(b"250-still thinking\r\n")
        elif reply is Trouble.HANG:
            self._lines.read()
        elif reply is Trouble.TARPIT:
            self._server.is_closing.wait(_TARPIT_S)
        raise _ConversationOver

    def _follow(self, verb: str, line: str) -> None:
        if verb == "MAIL":
            self._sender, self._recipients = address_in(line), []
        elif verb == "RCPT":
            self._recipients.append(address_in(line))
        elif verb == "DATA":
            self._take_mail()
        elif verb == "STAR" and self._server.tls is not None:
            self._connection = self._server.tls.wrap_socket(self._connection, server_side=True)
            self._lines = self._connection.makefile("rb")

    def _take_mail(self) -> None:
        wire = bytearray()
        while (line := self._lines.readline()) != b".\r\n":
            if not line:
                raise _ConversationOver
            wire += line
        reply = self._server.reply_to("DOT", "")
        self._server.keep(ReceivedMail(self._sender, self._recipients, bytes(wire)), reply)
        self._send(reply)
