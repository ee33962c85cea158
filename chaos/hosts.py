"""`python -m chaos.hosts`: trials of four hosts, one of which is cut off or lost. The checker of all trials judges."""

import argparse
import random
import secrets
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic

from psycopg import connect

from chaos import namespaces
from chaos.checker import violations
from chaos.clients import Clients, seed
from chaos.evidence import Evidence, Left, empty, gather, let_pass, look
from chaos.history import History
from chaos.host_cluster import WORKER_HOST, WORKER_HOSTS, HostCluster
from chaos.host_watch import GHOSTS_GONE_S, HostFigures, HostWatch, ask, claimed
from chaos.schedule import Ending, Planned, Pool, Schedule, draw_messages
from delivery.logs import configure_logs
from delivery.vocabulary import CredentialKind
from tasks.lanes import LaneName

_MODULE = "chaos.hosts"
_PER_SECOND = 8
_FAULT_AT_S, _AFTER_S = 6.0, 6.0
_FREED_S = 60.0
_RECOVERED_S = 60.0
_LOOK_S = 0.25
_SETTLED_S = 400.0
_LEAP = timedelta(seconds=15)
_ENDINGS = {Ending.PLAIN, Ending.HELD, Ending.FAULTY}
_REGISTERED = "SELECT count(*) FROM worker WHERE host = ANY(%s) AND died_at IS NULL"


@dataclass(frozen=True, slots=True)
class HostTrial:
    """What happens to one host: how its link goes, how it comes back if it does, and for how long it is away."""

    name: str
    begin: Callable[[HostCluster], None]
    end: Callable[[HostCluster], None]
    lasts_s: float


@dataclass(frozen=True, slots=True)
class HostTrialResult:
    """The judgement of one trial, and its figures."""

    trial: HostTrial
    figures: HostFigures
    violations: list[str]
    evidence: Evidence

    def describe(self) -> str:
        """Return its line in the report."""
        answers = [answer for each in self.evidence.history.answers.values() for answer in each]
        copies = self.evidence.copies.values()
        flagged = sum(row["possibly_duplicated"] for rows in self.evidence.recipients.values() for row in rows)
        took = [answer.took_s for answer in answers if answer.status == 201]
        return (
            f"{self.trial.name:<14} {self.trial.lasts_s:>3.0f} s: {len(answers)} posts, {len(took)} stored "
            f"(median {median(took):.2f} s, slowest {max(took):.2f} s), {sum(map(len, copies))} mails, "
            f"{sum(len(each) > 1 for each in copies)} doubled, {flagged} flagged, {self.figures.in_flight} in flight, "
            f"freed {self.figures.freed_s:.0f} s and settled {self.figures.recovered_s:.0f} s after the loss, "
            f"{self.figures.ghosts} sessions left after "
            f"{GHOSTS_GONE_S:.0f} s; {len(self.violations)} violations"
        )


def trials(away_s: float) -> tuple[HostTrial, ...]:
    """Return the trials, in which a host is away for so long; the host of the last one is lost for good."""
    host = WORKER_HOST
    return (
        HostTrial("link cut", lambda here: here.hosts[host].cut(), lambda here: here.hosts[host].plug(), away_s),
        HostTrial(
            "link down", lambda here: here.hosts[host].take_down(), lambda here: here.hosts[host].bring_up(), away_s
        ),
        HostTrial("host lost", lambda here: here.lose(host), lambda _: None, away_s),
    )


def main() -> int:
    """Run the trials. Return 1 when a promise was broken."""
    parser = argparse.ArgumentParser(prog=f"python -m {_MODULE}", description="Try four hosts, and part them.")
    parser.add_argument("--short", action="store_true", help="each host is away for 32 s instead of 60")
    options = parser.parse_args()
    configure_logs("ERROR")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # SIGTERM stops the servers too.
    try:
        namespaces.enter(_MODULE, sys.argv[1:])
    except namespaces.NoNamespaces as error:
        print(f"hosts: skipped, because this machine makes no network namespaces for this user: {error}")
        return 0
    broken = 0
    with _running_hosts() as (cluster, credentials):
        for trial in trials(32.0 if options.short else 60.0):
            result = _play(cluster, credentials, trial)
            print("\n".join([result.describe(), *(f"    {each}" for each in result.violations)]), flush=True)
            broken += len(result.violations)
    print(f"3 trials of four hosts, {broken} violations")
    return 1 if broken else 0


@contextmanager
def _running_hosts() -> Iterator[tuple[HostCluster, dict[CredentialKind, str]]]:
    with TemporaryDirectory(prefix="postroom-hosts-", ignore_cleanup_errors=True) as folder:
        cluster = HostCluster(Path(folder))
        try:
            cluster.start_servers()
            credentials = seed(cluster)
            cluster.start()
            _await(
                lambda: ask(cluster, _REGISTERED, list(WORKER_HOSTS)) == len(WORKER_HOSTS) * len(LaneName), _SETTLED_S
            )
            yield cluster, credentials
        finally:
            cluster.close()


def _play(cluster: HostCluster, credentials: dict[CredentialKind, str], trial: HostTrial) -> HostTrialResult:
    run = f"H{secrets.token_hex(4)}"
    empty(cluster.database_url)
    schedule = draw_load(trial)
    history = History(cluster.folder / f"{run}.jsonl")
    clients = Clients(cluster, credentials, run, history)
    with ThreadPoolExecutor(1, "clients") as pool:
        sending = pool.submit(clients.send_all, schedule.messages)
        try:
            figures = _part(cluster, trial, schedule, run)
            sending.result()
        finally:
            clients.stop()
    history.note_healed()
    settled_s = _settle(cluster, schedule, run)
    evidence = gather(cluster.database_url, schedule, run, history=history, copies=list(cluster.relay.copies))
    history.close()
    return HostTrialResult(
        trial, figures, [*violations(evidence), *faults_of(figures, settled_s, cluster.crashed())], evidence
    )


def draw_load(trial: HostTrial) -> Schedule:
    """Draw the messages: each with a key, none that needs staff or waits for a busy mailbox."""
    load_s = _FAULT_AT_S + trial.lasts_s + _AFTER_S
    drawn = draw_messages(random.Random(trial.name), int(load_s * _PER_SECOND), load_s)
    return Schedule(0, tuple(_keyed(each) for each in drawn if each.ending in _ENDINGS), (), hostility=0.0)


def _keyed(planned: Planned) -> Planned:
    recipients = tuple(each for each in planned.recipients if each[0] is not Pool.BUSY) or ((Pool.EMAIL, 1),)
    return replace(planned, recipients=recipients, is_keyed=True)


def _part(cluster: HostCluster, trial: HostTrial, schedule: Schedule, run: str) -> HostFigures:
    """Part the host once it has mails in flight, and watch those until all are settled and its time is over."""
    threading.Event().wait(_FAULT_AT_S)
    _await(lambda: claimed(cluster), _SETTLED_S)
    watch = HostWatch(cluster, claimed(cluster))
    trial.begin(cluster)
    while watch.now_s < trial.lasts_s:
        watch.look()
        threading.Event().wait(_LOOK_S)
    trial.end(cluster)
    while watch.recovered_s is None and watch.now_s < _RECOVERED_S + _SETTLED_S:
        watch.look()
        if not _left(cluster, schedule, run).moving:
            watch.leapt_s += _leap(cluster)
        threading.Event().wait(_LOOK_S)
    return watch.figures()


def faults_of(figures: HostFigures, settled_s: float, crashed: Iterable[str]) -> Iterator[str]:
    """Yield what only these trials promise: recovery in time, and nothing left of a host that vanished."""
    if figures.freed_s > _FREED_S:
        yield f"freed: the lost host kept its mails for {figures.freed_s:.0f} s"
    if figures.recovered_s > _RECOVERED_S:
        yield f"recovery: mails of the lost host were settled after {figures.recovered_s:.0f} s"
    if figures.ghosts:
        yield f"sessions: PostgreSQL still held {figures.ghosts} of the lost host after {GHOSTS_GONE_S:.0f} s"
    if settled_s >= _SETTLED_S:
        yield f"settled: not everything was final {_SETTLED_S:.0f} s after the last post"
    for name in crashed:
        yield f"crashed: {name} ended by itself"


def _left(cluster: HostCluster, schedule: Schedule, run: str) -> Left:
    with connect(cluster.database_url) as db:
        return look(db, schedule, run)


def _settle(cluster: HostCluster, schedule: Schedule, run: str) -> float:
    """Wait until everything is settled, or for as long as it may take; return the seconds that it took. Leaps count."""
    began_at, leapt_s = monotonic(), 0.0
    while (lasted_s := monotonic() - began_at + leapt_s) < _SETTLED_S:
        left = _left(cluster, schedule, run)
        if not left.unsettled:
            break
        if not left.moving:
            leapt_s += _leap(cluster)
        threading.Event().wait(_LOOK_S)
    return lasted_s


def _leap(cluster: HostCluster) -> float:
    """Bring every due time nearer, as its passing would; all that is left waits for it."""
    with connect(cluster.database_url) as db:
        let_pass(db, _LEAP)
    return _LEAP.total_seconds()


def _await(is_so: Callable[[], object], within_s: float) -> float:
    """Wait until it is so, or for this long; return the seconds that it took."""
    began_at = monotonic()
    while (lasted_s := monotonic() - began_at) < within_s and not is_so():
        threading.Event().wait(_LOOK_S)
    return lasted_s


if __name__ == "__main__":
    sys.exit(main())
