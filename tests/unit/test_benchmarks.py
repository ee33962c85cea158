"""The benchmarks send the legal messages that were ordered, and compare runs of the same round."""

import asyncio
import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from benchmarks import against, drain_report, growth, latency_report
from benchmarks.against import TreeRun
from benchmarks.api_report import describe
from benchmarks.chart import draw
from benchmarks.drain_run import DrainRun, Memory
from benchmarks.latency_report import LatencyMeasurement
from benchmarks.load import Job, LoadRun
from delivery.intake.messages import read_draft
from tests.support import build


def job(*, requests: int) -> Job:
    """Make a job for 25 recipients a message."""
    account_ids = [str(build.account_id()) for _ in range(30)]
    return Job(
        port=1, key="key", account_ids=account_ids, connections=2, recipients=25, body_bytes=2000, requests=requests
    )


def run_of(server: str, round_: int, requests_per_s: float) -> dict[str, object]:
    """Make one measured run of one case."""
    return {
        "door": server,
        "round": round_,
        "connections": 16,
        "recipients": 25,
        "requests_per_s": requests_per_s,
        "p50_ms": 1.0,
        "p99_ms": 2.0,
        "door_cpu_us": 500,
        "others_cpu_share": 0.5,
    }


def test_the_load_sends_the_ordered_number_of_requests_and_all_are_legal_messages() -> None:
    async def test() -> list[bytes]:
        run = LoadRun(job(requests=3))
        return [request for _ in range(10) if (request := run.next_request(0.0))]

    requests = asyncio.run(test())

    drafts = [read_draft(json.loads(request.partition(b"\r\n\r\n")[2])) for request in requests]
    assert [(25, 2000)] * 3 == [(len(draft.recipient_ids), len(draft.body)) for draft in drafts]
    assert all(b"Prefer: respond-async" in request for request in requests)


def test_latencies_of_several_rounds_are_reported_by_their_median_and_compared_within_a_round() -> None:
    postroom, reference = "Postroom, 1 worker", drain_report.REFERENCE
    rates = [(1, postroom, 900.0), (1, reference, 10.0), (2, postroom, 800.0), (2, reference, 20.0)]
    runs = [
        LatencyMeasurement(
            number, name, "through the API", 25, 100, rate, 50.0 + number, 90.0, {"door": 600}, 0.01, None
        )
        for number, name, rate in rates
    ]

    table = latency_report.describe([*runs, replace(runs[0], messages_per_s=1e6, fault="a letter too many")])

    row = next(line for line in table.splitlines() if postroom in line)
    assert "| 850 (800 to 900) | 65 (40 to 90) | 51.5 (51.0 to 52.0) |" in row


def test_the_load_sends_the_length_of_its_bodies() -> None:
    async def test() -> bytes:
        return LoadRun(job(requests=1)).next_request(0.0) or b""

    head, _, body = asyncio.run(test()).partition(b"\r\n\r\n")

    assert f"Content-Length: {len(body)}".encode() in head


def test_the_report_compares_both_servers_within_each_round() -> None:
    postroom, textbook = (900, 100, 800), (100, 50, 200)
    runs = [run_of("ours", i, each) for i, each in enumerate(postroom)]
    runs += [run_of("textbook", i, each) for i, each in enumerate(textbook)]

    table = describe(runs, {"requests": 3000, "start": 100.0, "middle": 101.0, "end": 101.5})

    assert "| 25 | 16 | 800 (100 to 900) | 100 (50 to 200) | 4.0 (2.0 to 9.0) |" in table
    assert "start 100.0 MiB, middle 101.0 MiB, end 101.5 MiB" in table


def test_a_report_with_a_missing_round_is_an_error() -> None:
    runs = [run_of("ours", 1, 1), run_of("ours", 2, 1), run_of("textbook", 1, 1)]

    with pytest.raises(ValueError, match="zip"):
        describe(runs, {"requests": 1, "start": 1, "middle": 1, "end": 1})


def drain_run(contender: str, round_: int, rate: float, fault: str | None = None) -> DrainRun:
    """Make one drain run with 25 recipients a message."""
    return DrainRun(contender, round_, 25, 100, 10.0, rate, rate / 25, 0.5, 0.3, 90.0, 180.0, 0.4, fault)


def test_the_drain_report_compares_the_runs_of_one_round() -> None:
    runs = [drain_run("floor", i, each) for i, each in enumerate((1000, 2000, 3000))]
    runs += [drain_run("Celery, textbook", i, each) for i, each in enumerate((10, 20, 10))]

    table = drain_report.describe(runs)

    assert "| floor | 2,000 (1,000 to 3,000) | 80 (40 to 120) | 100.0 (100.0 to 300.0) | 100% (100% to 100%) |" in table


def test_a_faulty_run_is_reported_and_does_not_count() -> None:
    runs = [drain_run("floor", 1, 1000), drain_run("floor", 2, 9000, "outcomes: 3 of 4")]

    table = drain_report.describe(runs)

    assert "| floor | 1,000 |" in table
    assert "Not counted: floor, round 2: outcomes: 3 of 4." in table


def test_the_chart_is_well_formed_and_has_a_bar_for_every_contender() -> None:
    runs = [
        drain_run(name, 1, rate) for name, rate in (("floor", 50_000), ("Huey", 500), ("Postroom, 1 worker", 20_000))
    ]

    chart = ET.fromstring(draw(runs))

    texts = [each.text for each in chart.iter("{http://www.w3.org/2000/svg}text")]
    assert {"floor", "Huey", "Postroom, 1 worker", "50,000", "500", "20,000"} <= set(texts)


def test_growth_compares_a_trial_with_the_mean_of_the_bases_of_its_round() -> None:
    trial = growth.TRIALS[1]
    runs = [
        (growth.BASE, drain_run("a", 1, 100)),
        (trial, drain_run("a", 1, 90)),
        (growth.BASE, drain_run("a", 1, 200)),
    ]
    runs += [(growth.BASE, drain_run("a", 2, 1000)), (trial, drain_run("a", 2, 900))]

    table = growth.describe(runs)

    assert f"| {trial.name} | 495 (90 to 900) | 75% (60% to 90%) |" in table


def test_growth_shows_memory_at_the_start_in_the_middle_and_at_the_end() -> None:
    run = replace(drain_run("a", 1, 100), course_mib=(90.0, 99.0, 110.0, 120.0, 130.0))

    assert "| 90, 110, 130 |" in growth.describe([(growth.BASE, run)])


def test_growth_does_not_count_a_faulty_run() -> None:
    trial = growth.TRIALS[1]

    table = growth.describe([(growth.BASE, drain_run("a", 1, 100)), (trial, drain_run("a", 1, 900, "letters: 1 of 2"))])

    assert "900" not in table
    assert f"Not counted: {trial.name}, round 1: letters: 1 of 2." in table


def test_the_course_of_memory_goes_from_the_first_sample_to_the_last() -> None:
    memory = Memory(looks_mib=[float(each) for each in range(101)])

    assert tuple(float(each) for each in range(0, 101, 10)) == memory.course()
    assert () == Memory().course()


def test_two_trees_are_compared_within_each_round() -> None:
    figures = [(1, True, 900.0, 0.5), (1, False, 1000.0, 0.4), (2, False, 500.0, 0.8), (2, True, 600.0, 0.8)]
    runs = [TreeRun(round_, ours, 25, rate, cpu, cpu / 2, 100.0, 0.1) for round_, ours, rate, cpu in figures]
    runs.append(replace(runs[0], recipients_per_s=9000.0, fault="outcomes: 3 of 4"))

    table = against.describe(runs)

    assert "| 1.05 (0.90 to 1.20) |" in table
    assert "| 1.12 (1.00 to 1.25) (1.12 (1.00 to 1.25)) |" in table
