"""The load: keep-alive connections on raw sockets, in a process of its own, so that the client is no bottleneck.

It reads a job as JSON from standard input and writes what came back as JSON to standard output.
"""

import asyncio
import gc
import json
import random
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from itertools import cycle
from time import perf_counter, process_time

import uvloop

from tests.support.processes import run_to_end

_DIFFERENT_REQUESTS = 200
_LENGTH = b"content-length: "


@dataclass(frozen=True, slots=True)
class Job:
    """What to send: for so many seconds, or, where that is 0, so many requests."""

    port: int
    key: str
    account_ids: list[str]
    connections: int
    recipients: int
    body_bytes: int
    seconds: float = 0.0
    requests: int = 0
    prefer: str = "respond-async"
    rate_per_s: float = 0.0
    """Requests arrive at random at this rate, on any free connection; 0 sends the next as soon as one is answered."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came back. Latencies are in milliseconds, from the moment at which a request was due."""

    statuses: dict[str, int]
    seconds: float
    cpu_seconds: float
    latencies_ms: list[float]


class LoadRun:
    """The state that all connections share."""

    def __init__(self, job: Job) -> None:
        self._requests = cycle(_write_requests(job))
        self._left = job.requests or sys.maxsize
        self._ends_at = perf_counter() + job.seconds if job.seconds else float("inf")
        self._open = job.connections
        self._rate_per_s = job.rate_per_s
        self._random = random.Random(job.requests)  # noqa: S311 - the same arrivals in every run
        self._next_at = perf_counter()
        self.statuses: Counter[int] = Counter()
        self.latencies_s: list[float] = []
        self.over = asyncio.get_running_loop().create_future()

    def next_request(self, now: float) -> bytes | None:
        """Return the next request, or None when the job is done."""
        if self._left <= 0 or now >= self._ends_at:
            return None
        self._left -= 1
        return next(self._requests)

    def due_at(self, now: float) -> float:
        """Return when the next request is due: now, or at the next random arrival."""
        if not self._rate_per_s:
            return now
        self._next_at += self._random.expovariate(self._rate_per_s)
        return self._next_at

    def leave(self) -> None:
        """Count a connection that has finished."""
        self._open -= 1
        if self._open == 0:
            self.over.set_result(None)


class LoadConnection(asyncio.Protocol):
    """One client: sends, waits for the whole answer, and sends again."""

    def __init__(self, run: LoadRun) -> None:
        self._run = run
        self._received = b""
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = transport
        self._send(perf_counter())

    def data_received(self, data: bytes) -> None:
        """Record a response once it is whole, and send the next request."""
        self._received += data
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return
        start = self._received.index(_LENGTH) + len(_LENGTH)
        length = int(self._received[start : self._received.index(b"\r", start)])
        if len(self._received) >= end + 4 + length:
            now = perf_counter()
            self._run.statuses[int(self._received[9:12])] += 1
            self._run.latencies_s.append(now - self._began)
            self._received = b""
            self._send(now)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count this connection as finished. One that breaks before its response counts as the status 0."""
        del exc
        if self._began:
            self._run.statuses[0] += 1
        self._run.leave()

    def _send(self, now: float) -> None:
        request = self._run.next_request(now)
        if request is None:
            self._began = 0.0
            self._transport.close()
            return
        self._began = self._run.due_at(now)
        if self._began > now:
            asyncio.get_running_loop().call_later(self._began - now, self._write, request)
        else:
            self._write(request)

    def _write(self, request: bytes) -> None:
        self._transport.write(request)  # type: ignore[attr-defined] # a transport for streams, as TCP's are


def _write_requests(job: Job) -> list[bytes]:
    rng = random.Random(job.connections)  # noqa: S311 - the same requests in every run
    text = ("A translation of some length, please. " * (job.body_bytes // 38 + 1))[: job.body_bytes]
    return [_write(job, rng.sample(job.account_ids, job.recipients), text) for _ in range(_DIFFERENT_REQUESTS)]


def _write(job: Job, recipients: list[str], text: str) -> bytes:
    message = {
        "recipient_uuids": recipients,
        "sender_name": "Ada Lovelace",
        "sender_email": "ada@example.com",
        "subject": "A translation from French",
        "body": text,
        "type": "job",
    }
    body = json.dumps(message).encode()
    head = (
        f"POST /messages HTTP/1.1\r\nHost: 127.0.0.1:{job.port}\r\nX-Proz-API-Key: {job.key}\r\n"
        f"Prefer: {job.prefer}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def _run(job: Job) -> Seen:
    run = LoadRun(job)
    began, cpu_began = perf_counter(), process_time()
    loop = asyncio.get_running_loop()
    await asyncio.gather(
        *(loop.create_connection(lambda: LoadConnection(run), "127.0.0.1", job.port) for _ in range(job.connections))
    )
    await run.over
    seconds, cpu_seconds = perf_counter() - began, process_time() - cpu_began
    statuses = {str(status): count for status, count in run.statuses.items()}
    return Seen(statuses, seconds, cpu_seconds, [round(each * 1000, 3) for each in run.latencies_s])


def run_load(job: Job) -> Seen:
    """Run a job in a process of its own."""
    ended = run_to_end((sys.executable, "-m", "benchmarks.load"), text=json.dumps(asdict(job)))
    ended.check_returncode()
    return Seen(**json.loads(ended.stdout))


def main() -> None:
    """Run the job from standard input in this process."""
    job = Job(**json.load(sys.stdin))
    gc.disable()
    seen = uvloop.run(_run(job))
    json.dump(asdict(seen), sys.stdout)


if __name__ == "__main__":
    main()
