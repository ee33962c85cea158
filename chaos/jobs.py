"""Several trials at once: every job is a process with a site of its own, and takes whatever schedule is next."""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from chaos.runner import Runner, TrialResult, open_runner
from chaos.schedule import Schedule

# Forked before there is any thread: what a job is to do need not be pickled.
_FORK = get_context("fork")
_STOP_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class TrialJob:
    """What all jobs do together: the schedules, drawn alike in each, how one is told, and on what kind of site."""

    schedules: Callable[[], Iterator[Schedule]]
    tell: Callable[[Schedule, TrialResult], None]
    is_swept: bool = True


def play_all(task: TrialJob, jobs: int) -> Iterator[TrialResult]:
    """Play these schedules and give each result as it comes. Raises `RuntimeError` when a job broke."""
    following = _FORK.Value("i", 0)
    with _running(task, following, jobs) as (processes, results):
        while results:
            ready: list[Any] = wait(results)
            for each in ready:
                try:
                    yield each.recv()
                except EOFError:
                    results.remove(each)
    broken = [process.name for process in processes if process.exitcode]
    if broken:
        raise RuntimeError(f"{', '.join(broken)} broke before its trials were over")


@contextmanager
def _running(task: TrialJob, following: Any, jobs: int) -> Iterator[tuple[Sequence[Any], list[Connection]]]:
    """Start the jobs; whatever ends the block ends them and their servers."""
    processes, results = [], []
    for number in range(jobs):
        near, far = _FORK.Pipe(duplex=False)
        process = _FORK.Process(target=_work, args=(task, following, far), name=f"job {number}")
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


def _work(task: TrialJob, following: Any, results: Connection) -> None:
    # Control-C reaches the jobs as well; that they end, and their servers with them, is up to who started them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop_once)
    with suppress(KeyboardInterrupt, BrokenPipeError), open_runner(is_swept=task.is_swept) as stage:
        _play(stage, task, following, results)


def _stop_once(*_: object) -> None:
    """End this job; nothing may cut short how it stops its servers."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _play(stage: Runner, task: TrialJob, following: Any, results: Connection) -> None:
    mine = _take(following)
    for number, schedule in enumerate(task.schedules()):
        if number == mine:
            result = stage.play(schedule)
            task.tell(schedule, result)
            results.send(result)
            mine = _take(following)


def _take(following: Any) -> int:
    with following.get_lock():
        mine: int = following.value
        following.value += 1
    return mine
