"""Run one worker process: a Celery worker on the queues of its lane, with a sweep and a liveness monitor."""

import gc
import os
import socket
import sys
from typing import Any, NoReturn
from uuid import UUID, uuid4

from celery import Celery, bootsteps

from delivery.attempt_journal import FileJournal, journal_folder
from delivery.channels.email.sender import SmtpSender
from delivery.life_sign import LifeSign
from delivery.records.database import open_database
from delivery.records.workers.registry import WorkerIdentity
from delivery.setting_checks import UnusableSetting
from delivery.settings import Settings
from delivery.vocabulary import Channel
from tasks.app import ignore_celery_variables, make_app
from tasks.broker.backlog import Backlog, BrokerBacklog, NoBacklog
from tasks.broker.direct_queue import DirectSendQueue
from tasks.broker.doorbell import BrokerDoorbell, Doorbell, SilentDoorbell
from tasks.context import StepContext
from tasks.lanes import LANES, THREADS, Lane, LaneName
from tasks.queues import DIRECT_SENDS
from tasks.rule_keeper import RuleKeeper
from tasks.runner import register
from tasks.start_checks import check_start
from worker.runtime.direct_reader import DirectSendReader
from worker.runtime.liveness import LivenessMonitor
from worker.runtime.sweep import Pool, Sweep, Work

# Besides those of the pool: one for the sweep, one for the liveness monitor, one to spare.
_CONNECTIONS_BESIDE_THE_POOL = 3
# A batch of decisions makes some hundred thousand objects and drops them. At Python's default of 700 allocations the
# garbage collector walked them again and again: 0.28 s of CPU for 10,000 recipients, 0.16 s with this.
_ALLOCATIONS_BETWEEN_COLLECTIONS = 50_000


def run_worker(settings: Settings, lane_name: LaneName) -> None:
    """Serve one lane until SIGTERM, then finish the work under way and exit."""
    check_start(settings)
    ignore_celery_variables(os.environ)  # noqa: TID251 - Celery reads it, we do not
    lane = LANES[lane_name]
    app = make_app(settings)
    # Its first half must be random: it is in every claim, and it is the key of the worker's lock.
    identity = WorkerIdentity(uuid4(), socket.gethostname(), os.getpid(), lane.queues)
    life_sign = LifeSign()
    try:
        journal = FileJournal(journal_folder(settings.journal_folder), identity.worker_id)
        context = _make_context(settings, lane, identity.worker_id, journal, life_sign)
    except UnusableSetting as error:
        raise SystemExit(f"postroom: {error}. Correct it and start again.") from None
    except OSError as error:
        sentence = f"POSTROOM_JOURNAL_FOLDER cannot be used ({error})"
        raise SystemExit(f"postroom: {sentence}. Correct it and start again.") from None
    register(app, context)
    app.conf.worker_consumer = "tasks.broker.bell_consumer:BellConsumer"
    app.steps["worker"].add(_sweep_step(context, lane))
    if DIRECT_SENDS in lane.queues:
        app.steps["worker"].add(_direct_reader_step(context))
    monitor = LivenessMonitor(context, identity, open_database(settings, connections=1), life_sign=life_sign)
    monitor.start()
    _tune_garbage_collection()
    try:
        _serve(app, settings, lane_name, lane)
    finally:  # Only now has all work of this worker ended.
        context.doorbell.close()
        for sender in context.senders.values():
            sender.close()
        monitor.close()
        journal.close()


def _tune_garbage_collection() -> None:
    """Keep the garbage collector from walking, for every batch, objects that live as long as the process."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_BETWEEN_COLLECTIONS)


def _make_context(
    settings: Settings, lane: Lane, worker_id: UUID, journal: FileJournal, life_sign: LifeSign
) -> StepContext:
    doorbell: Doorbell = BrokerDoorbell(settings) if settings.bell else SilentDoorbell()
    return StepContext(
        settings=settings,
        database=open_database(settings, connections=_connections(settings, lane)),
        doorbell=doorbell,
        senders={Channel.EMAIL: SmtpSender(settings, journal=journal, life_sign=life_sign)},
        worker_id=worker_id,
        journal=journal,
        rules=RuleKeeper(settings.own_names, settings.own_domains),
    )


def _connections(settings: Settings, lane: Lane) -> int:
    readers = 1 if DIRECT_SENDS in lane.queues else 0
    return lane.concurrency(settings) + readers + _CONNECTIONS_BESIDE_THE_POOL


def _sweep_step(context: StepContext, lane: Lane) -> type[bootsteps.StartStopStep]:
    """Make the bootstep of the sweep. It requires the pool and not the broker, so that it also runs without Redis."""
    queues = lane.bell_queues if context.settings.bell else ()
    backlog: Backlog = BrokerBacklog(context.settings, queues) if queues else NoBacklog()

    class SweepStep(bootsteps.StartStopStep):  # type: ignore[misc] # Celery ships no types
        requires = ("celery.worker.components:Pool",)

        def start(self, worker: Any) -> None:
            pool = _pool_of(worker)
            if lane.pool == THREADS:
                context.fan_out.use_pool(pool)
            self.sweep = Sweep(context, lane.queues, pool, backlog)
            self.sweep.start()

        def stop(self, worker: Any) -> None:  # noqa: ARG002 - Celery's signature
            context.fan_out.stop()
            self.sweep.stop()

    return SweepStep


def _direct_reader_step(context: StepContext) -> type[bootsteps.StartStopStep]:
    """Make the bootstep of the thread that reads direct sends. It requires no other part of Celery's worker."""

    class ReaderStep(bootsteps.StartStopStep):  # type: ignore[misc] # Celery ships no types
        def start(self, worker: Any) -> None:  # noqa: ARG002 - Celery's signature
            self.reader = DirectSendReader(context, DirectSendQueue(context.settings))
            self.reader.start()

        def stop(self, worker: Any) -> None:  # noqa: ARG002 - Celery's signature
            self.reader.stop()

    return ReaderStep


def _pool_of(worker: Any) -> Pool:
    """Return what runs work on the worker's pool, so that on a pool of threads the sweep and the bells share them."""

    def run(work: Work) -> None:
        # A solo pool runs it at once, on the calling thread.
        worker.pool.apply_async(work, callback=lambda _: None)

    return run


def _serve(app: Celery, settings: Settings, lane_name: LaneName, lane: Lane) -> NoReturn:
    """Run Celery's worker until it stops, and exit with its code. Celery's command line would take 8 MiB more."""
    worker = app.Worker(
        hostname=f"{lane_name}-{os.getpid()}@{socket.gethostname()}",
        pool_cls=lane.pool,
        concurrency=lane.concurrency(settings),
        prefetch_multiplier=1 if lane.pool == THREADS else None,  # One of its bells holds work for all threads.
        queues=list(lane.bell_queues),
        loglevel="WARNING",
        quiet=True,  # No banner: standard output and error hold nothing but log lines.
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
    )
    worker.start()
    sys.exit(worker.exitcode)
