"""Find and stop the processes that an earlier supervisor left running when it was killed."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

_GRACE_S = 10.0


def stop_leftovers(data: Path, report: Callable[[str], None]) -> None:
    """Stop every process of ours that still runs in this data folder, the database last."""
    found = list(leftovers(data))
    if not found:
        return
    report(f"stopping {len(found)} processes that an earlier run left behind")
    servers = [process for process in found if _is_database(process)]
    _stop([process for process in found if process not in servers], signal.SIGTERM)
    _stop(servers, signal.SIGINT)  # PostgreSQL's "fast": end every session, then stop cleanly.


def leftovers(data: Path) -> Iterator[psutil.Process]:
    """Yield the processes that run a program of this environment with a working folder in `data`.

    Only both together identify them: a shell may have the folder as its own, and another checkout runs the same
    programs. Valkey and PostgreSQL overwrite their command lines, so the executable is checked as well.
    """
    for process in psutil.process_iter():
        try:
            if process.pid != psutil.Process().pid and _runs_in(process, data) and _runs_ours(process):
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue


def _runs_in(process: psutil.Process, data: Path) -> bool:
    return Path(process.cwd()).is_relative_to(data)


def _runs_ours(process: psutil.Process) -> bool:
    programs = [*process.cmdline()[:1], process.exe()]
    return any(Path(program).is_relative_to(sys.prefix) for program in programs)


def _is_database(process: psutil.Process) -> bool:
    try:
        return process.name().startswith("postgres")
    except psutil.NoSuchProcess:
        return False


def _stop(processes: list[psutil.Process], how: signal.Signals) -> None:
    """Signal those whose parent is not among them, because a parent stops its children; kill those left after 10 s."""
    pids = {process.pid for process in processes}
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            if process.ppid() not in pids:
                process.send_signal(how)
    _, alive = psutil.wait_procs(processes, timeout=_GRACE_S)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=_GRACE_S)
