"""A benchmark that gets a stop signal leaves no server and no worker running."""

import signal
import subprocess
import sys

import psutil
import pytest

from tests.support.processes import ROOT

_BENCHMARK = """
import threading
from benchmarks.processes import open_servers, running
with open_servers(), running(("sleep", "600"), lambda: True):
    print("ready", flush=True)
    threading.Event().wait()
"""


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
def test_a_benchmark_that_gets_a_stop_signal_stops_all_processes_that_it_started(stop_signal: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", _BENCHMARK], cwd=ROOT, stdout=subprocess.PIPE) as benchmark:
        assert benchmark.stdout is not None
        assert benchmark.stdout.readline() == b"ready\n"
        started = psutil.Process(benchmark.pid).children(recursive=True)
        names = {each.name() for each in started}
        benchmark.send_signal(stop_signal)
        code = benchmark.wait(60)

    _, alive = psutil.wait_procs(started, timeout=5)
    for each in alive:
        each.kill()
    assert {"postgres", "sleep"} <= names
    assert ([], 128 + stop_signal) == (alive, code)
