"""Several trials at once: every job is a process with a cluster of its own, and takes the next schedule."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from chaos.runner import Runner, TrialResult, open_runner
from chaos.schedule import Schedule

# Forked before any thread starts: the functions of a job need not be pickled.
_FORK = get_context("fork")
_STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class TrialJob:
    """What all jobs share: the schedules, drawn alike in each, how a result is reported, and whether the sweep runs."""

    schedules: Callable[[], Iterator[Schedule]]
    report: Callable[[Schedule, TrialResult], None]
    is_swept: bool = True


def play_all(job: TrialJob, jobs: int) -> Iterator[TrialResult]:
    """Run these schedules and yield each result as it comes. Raises `RuntimeError` when a job failed."""
    following = _FORK.Value("i", 0)
    with _running(job, following, jobs) as (processes, results):
        while results:
            ready: list[Any] = wait(results)
            for each in ready:
                try:
                    yield each.recv()
                except EOFError:
                    results.remove(each)
    failed = [process.name for process in processes if process.exitcode]
    if failed:
        raise RuntimeError(f"{', '.join(failed)} failed before its trials were over")


@contextmanager
def _running(job: TrialJob, following: Any, jobs: int) -> Iterator[tuple[Sequence[Any], list[Connection]]]:
    """Start the jobs; when the block ends they and their servers end too."""
    processes, results = [], []
    for number in range(jobs):
        near, far = _FORK.Pipe(duplex=False)
        process = _FORK.Process(target=_work, args=(job, following, far), name=f"job {number}")
        process.start()
        far.close()
        processes.append(process)
        results.append(near)
    try:
        yield processes, results
    except BaseException:
        for process in processes:
            process.terminate()
        raise
    finally:
        for process in processes:
            process.join(_STOP_TIMEOUT_S)


def _work(job: TrialJob, following: Any, results: Connection) -> None:
    # Ctrl-C reaches the jobs as well, but the parent process stops them, so that each stops its servers once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop_once)
    with suppress(KeyboardInterrupt, BrokenPipeError), open_runner(is_swept=job.is_swept) as runner:
        _play(runner, job, following, results)


def _stop_once(*_: object) -> None:
    """End this job; a second SIGTERM must not interrupt the stopping of its servers."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _play(runner: Runner, job: TrialJob, following: Any, results: Connection) -> None:
    mine = _take(following)
    for number, schedule in enumerate(job.schedules()):
        if number == mine:
            result = runner.play(schedule)
            job.report(schedule, result)
            results.send(result)
            mine = _take(following)


def _take(following: Any) -> int:
    with following.get_lock():
        mine: int = following.value
        following.value += 1
    return mine
