"""A mail relay that accepts everything, lean enough to be no bottleneck. It answers the final dot after `--latency-ms`.

On SIGTERM it writes, as JSON, how many mails it accepted and how many different recipients they had.
"""

import argparse
import asyncio
import json
import signal
from pathlib import Path

import uvloop


class SinkCount:
    """What all connections have accepted."""

    def __init__(self, latency_s: float) -> None:
        self.latency_s = latency_s
        self.mails = 0
        self.recipients: set[bytes] = set()


class Dialogue(asyncio.Protocol):
    """One connection. Commands may come in one packet or in many."""

    def __init__(self, count: SinkCount) -> None:
        self._count = count
        self._received = b""
        self._is_in_mail = False
        self._recipient = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the greeting."""
        self._transport = transport
        self._say(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        """Reply to every command and every mail that is whole."""
        self._received += data
        while self._take():
            pass

    def _take(self) -> bool:
        mark = b"\r\n.\r\n" if self._is_in_mail else b"\r\n"
        piece, found, rest = self._received.partition(mark)
        if found:
            self._received = rest
            if self._is_in_mail:
                self._end_mail()
            else:
                self._answer(piece)
        return bool(found)

    def _end_mail(self) -> None:
        self._is_in_mail = False
        self._count.mails += 1
        self._count.recipients.add(self._recipient)
        if self._count.latency_s:
            asyncio.get_running_loop().call_later(self._count.latency_s, self._say, b"250 taken\r\n")
        else:
            self._say(b"250 taken\r\n")

    def _answer(self, line: bytes) -> None:
        verb = line[:4].upper()
        if verb == b"DATA":
            self._is_in_mail = True
            self._say(b"354 go on\r\n")
        elif verb == b"QUIT":
            self._say(b"221 bye\r\n")
            self._transport.close()
        elif verb == b"EHLO":
            self._say(b"250-sink\r\n250 PIPELINING\r\n")
        else:
            if verb == b"RCPT":
                self._recipient = line
            self._say(b"250 well\r\n")

    def _say(self, answer: bytes) -> None:
        self._transport.write(answer)  # type: ignore[attr-defined] # a transport for streams, as TCP's are


async def _serve(port: int, count: SinkCount) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    server = await loop.create_server(lambda: Dialogue(count), "127.0.0.1", port, backlog=512)
    await over.wait()
    server.close()


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="the port to listen on")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="before each reply to a mail (default: 0)")
    parser.add_argument("--tell", required=True, help="the file that the numbers are written to at the end")
    options = parser.parse_args()
    count = SinkCount(options.latency_ms / 1000)
    uvloop.run(_serve(options.port, count))
    counts = {"mails": count.mails, "recipients": len(count.recipients)}
    Path(options.tell).write_text(json.dumps(counts), encoding="utf-8")


if __name__ == "__main__":
    main()
