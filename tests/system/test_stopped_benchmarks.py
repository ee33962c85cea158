"""A benchmark that is told to end leaves nothing behind: no server and no worker."""

import signal
import subprocess
import sys

import psutil
import pytest

from tests.support.platform import ROOT

_BENCHMARK = """
import threading
from benchmarks.processes import open_servers, running
with open_servers(), running(("sleep", "600"), lambda: True):
    print("ready", flush=True)
    threading.Event().wait()
"""


@pytest.mark.parametrize("farewell", [signal.SIGTERM, signal.SIGINT])
def test_a_benchmark_that_is_told_to_end_stops_all_that_it_started(farewell: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", _BENCHMARK], cwd=ROOT, stdout=subprocess.PIPE) as benchmark:
        assert benchmark.stdout is not None
        assert benchmark.stdout.readline() == b"ready\n"
        started = psutil.Process(benchmark.pid).children(recursive=True)
        names = {each.name() for each in started}
        benchmark.send_signal(farewell)
        code = benchmark.wait(60)

    _, alive = psutil.wait_procs(started, timeout=5)
    for each in alive:
        each.kill()
    assert {"postgres", "sleep"} <= names
    assert ([], 128 + farewell) == (alive, code)
