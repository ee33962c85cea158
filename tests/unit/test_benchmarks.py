"""The benchmarks measure what they say: legal messages, as many as asked for, and ratios within a round."""

import asyncio
import json

import pytest

from benchmarks.load import Job, Run
from benchmarks.report import describe
from delivery.intake.draft import read_draft
from tests import build


def job(*, requests: int) -> Job:
    """Make a job for 25 recipients a message."""
    account_ids = [str(build.account_id()) for _ in range(30)]
    return Job(
        port=1, key="key", account_ids=account_ids, connections=2, recipients=25, body_bytes=2000, requests=requests
    )


def run_of(door: str, round_: int, requests_per_s: float) -> dict[str, object]:
    """Make one measured run of one case."""
    return {
        "door": door,
        "round": round_,
        "connections": 16,
        "recipients": 25,
        "requests_per_s": requests_per_s,
        "p50_ms": 1.0,
        "p99_ms": 2.0,
        "door_cpu_us": 500,
        "others_cpu_share": 0.5,
    }


def test_the_load_sends_as_many_requests_as_it_is_told_and_all_are_legal_messages() -> None:
    async def test() -> list[bytes]:
        run = Run(job(requests=3))
        return [request for _ in range(10) if (request := run.next_request(0.0))]

    requests = asyncio.run(test())

    drafts = [read_draft(json.loads(request.partition(b"\r\n\r\n")[2])) for request in requests]
    assert [(25, 2000)] * 3 == [(len(draft.recipient_ids), len(draft.body)) for draft in drafts]
    assert all(b"Prefer: respond-async" in request for request in requests)


def test_the_load_says_how_long_its_bodies_are() -> None:
    async def test() -> bytes:
        return Run(job(requests=1)).next_request(0.0) or b""

    head, _, body = asyncio.run(test()).partition(b"\r\n\r\n")

    assert f"Content-Length: {len(body)}".encode() in head


def test_the_report_compares_both_doors_within_each_round() -> None:
    ours, textbook = (900, 100, 800), (100, 50, 200)
    runs = [run_of("ours", i, each) for i, each in enumerate(ours)]
    runs += [run_of("textbook", i, each) for i, each in enumerate(textbook)]

    table = describe(runs, {"requests": 3000, "start": 100.0, "middle": 101.0, "end": 101.5})

    assert "| 25 | 16 | 800 (100 to 900) | 100 (50 to 200) | 4.0 (2.0 to 9.0) |" in table
    assert "start 100.0 MiB, middle 101.0 MiB, end 101.5 MiB" in table


def test_a_report_with_a_round_missing_is_none() -> None:
    runs = [run_of("ours", 1, 1), run_of("ours", 2, 1), run_of("textbook", 1, 1)]

    with pytest.raises(ValueError, match="zip"):
        describe(runs, {"requests": 1, "start": 1, "middle": 1, "end": 1})
