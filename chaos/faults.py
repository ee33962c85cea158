"""Inject each fault into a cluster, and check that it hit something."""

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from typing import Any

import psycopg
import redis

from chaos.cluster import API, DECIDE, OTHER_SMTP, OURS, POSTGRES, RELAY, SMTP, VALKEY, Cluster
from chaos.evidence import let_pass
from chaos.fault_proxy import FaultProxy, ProxyMode
from chaos.schedule import Fault, PlannedFault
from delivery.vocabulary import QueueName, StepName
from tasks.broker.bell_format import write_payload

_DELAY_S = 0.15
_LOOK_EVERY_S = 0.05
_FORGED_AT_ONCE = 300
_LEAP = timedelta(seconds=30)
_GARBAGE = ("x", "{}", "[]", '{"body": "%%%"}', '{"headers": {"task": "messages.deliver"}, "body": "W10="}')

_UNAVAILABLE = (psycopg.Error, redis.RedisError, OSError)


def inject(cluster: Cluster, fault: PlannedFault, is_over: threading.Event) -> bool:
    """Inject this fault, wait for as long as it lasts (or until `is_over`), and return whether it hit anything."""
    if is_over.wait(fault.at_s):
        return False
    try:
        return bool(_FAULTS[fault.fault](cluster, fault, is_over))
    except _UNAVAILABLE:  # Another fault has hit the same server.
        return False


def _kill(names: tuple[str, ...], cluster: Cluster, fault: PlannedFault, is_over: threading.Event) -> bool:
    killed = cluster.kill(*names)
    is_over.wait(fault.lasts_s)
    for name in names:
        cluster.start(name)
    return killed > 0


def _freeze(name: str, cluster: Cluster, fault: PlannedFault, is_over: threading.Event) -> bool:
    was_alive = cluster.freeze(name)
    is_over.wait(fault.lasts_s)
    cluster.thaw()
    return was_alive


def _flush(cluster: Cluster, fault: PlannedFault, is_over: threading.Event) -> bool:
    del fault, is_over
    with cluster.broker() as broker:
        return bool(broker.flushall())


def _disturb(
    name: str, disturb: Callable[[FaultProxy], None], cluster: Cluster, fault: PlannedFault, is_over: threading.Event
) -> bool:
    """Disturb a link for a while; return whether any byte was affected."""
    proxy = cluster.proxies[name]
    before = proxy.touched
    disturb(proxy)
    is_over.wait(fault.lasts_s)
    proxy.let_flow()
    return proxy.touched > before


def _swallow_answers(proxy: FaultProxy) -> None:
    """Swallow what the server sends. The connections have to be cut afterwards: half a stream is of no use."""
    proxy.swallow(ProxyMode.TO_CLIENT)


def _disturb_and_cut(
    name: str, disturb: Callable[[FaultProxy], None], cluster: Cluster, fault: PlannedFault, is_over: threading.Event
) -> bool:
    has_hit = _disturb(name, disturb, cluster, fault, is_over)
    cluster.proxies[name].cut()
    return has_hit


def _forge(cluster: Cluster, fault: PlannedFault, is_over: threading.Event) -> bool:
    """Ring for all messages that are stored, as a replay or an attacker would, and push what is no bell."""
    del fault, is_over
    url = cluster.database_url
    with psycopg.connect(url, connect_timeout=2) as db:
        messages = [str(row[0]) for row in db.execute("SELECT id FROM message").fetchall()]
        recipients = [row[0] for row in db.execute("SELECT id FROM recipient ORDER BY random()").fetchall()]
    _push_bells(cluster, messages, recipients[:_FORGED_AT_ONCE])
    return bool(messages)


def _leap(cluster: Cluster, fault: PlannedFault, is_over: threading.Event) -> bool:
    del fault, is_over
    with psycopg.connect(cluster.database_url, connect_timeout=2) as db:
        return let_pass(db, _LEAP) > 0


def _push_bells(cluster: Cluster, messages: list[str], recipients: list[int]) -> None:
    write = partial(write_payload, rung_at=datetime.now(UTC))
    with cluster.broker() as broker:
        for queue in (QueueName.DECIDE, QueueName.VETTING, QueueName.DELIVER_SMTP):
            broker.lpush(queue, *_GARBAGE)
        broker.lpush(QueueName.DECIDE, write(StepName.DECIDE, QueueName.DECIDE, messages))
        broker.lpush(QueueName.VETTING, write(StepName.VET, QueueName.VETTING, messages))
        for each in chain(recipients, recipients):
            broker.lpush(QueueName.DELIVER_SMTP, write(StepName.DELIVER, QueueName.DELIVER_SMTP, [each]))


def _await_crash(cluster: Cluster, fault: PlannedFault, is_over: threading.Event) -> bool:
    """Wait until the crash point that the runner has armed fires."""
    while not cluster.sentinel.exists() and not is_over.wait(_LOOK_EVERY_S):
        continue
    is_over.wait(fault.lasts_s)
    cluster.thaw()
    cluster.revive()
    return cluster.sentinel.exists()


_FAULTS: Mapping[Fault, Any] = {
    Fault.KILL_API: partial(_kill, (API,)),
    Fault.KILL_DECIDE: partial(_kill, (DECIDE,)),
    Fault.KILL_SMTP: partial(_kill, (SMTP,)),
    Fault.KILL_WORKERS: partial(_kill, (DECIDE, SMTP, OTHER_SMTP)),
    Fault.KILL_ALL: partial(_kill, (*OURS, VALKEY, POSTGRES)),
    Fault.KILL_POSTGRES: partial(_kill, (POSTGRES,)),
    Fault.KILL_VALKEY: partial(_kill, (VALKEY,)),
    Fault.FLUSHALL: _flush,
    Fault.FREEZE_API: partial(_freeze, API),
    Fault.FREEZE_DECIDE: partial(_freeze, DECIDE),
    Fault.FREEZE_SMTP: partial(_freeze, SMTP),
    Fault.FREEZE_POSTGRES: partial(_freeze, POSTGRES),
    Fault.FREEZE_VALKEY: partial(_freeze, VALKEY),
    Fault.CUT_POSTGRES: partial(_disturb, POSTGRES, FaultProxy.cut),
    Fault.CUT_COMMIT: partial(_disturb, POSTGRES, FaultProxy.cut_after),
    Fault.DEAF_POSTGRES: partial(_disturb_and_cut, POSTGRES, _swallow_answers),
    Fault.DELAY_POSTGRES: partial(_disturb, POSTGRES, lambda proxy: proxy.delay(_DELAY_S)),
    Fault.CUT_VALKEY: partial(_disturb, VALKEY, FaultProxy.cut),
    Fault.DEAF_VALKEY: partial(_disturb_and_cut, VALKEY, _swallow_answers),
    Fault.DELAY_VALKEY: partial(_disturb, VALKEY, lambda proxy: proxy.delay(_DELAY_S)),
    Fault.SLICE_VALKEY: partial(_disturb, VALKEY, lambda proxy: proxy.slice(7)),
    Fault.CUT_SMTP: partial(_disturb, RELAY, FaultProxy.cut),
    Fault.DEAF_SMTP: partial(_disturb_and_cut, RELAY, _swallow_answers),
    Fault.SLICE_SMTP: partial(_disturb, RELAY, lambda proxy: proxy.slice(3)),
    Fault.FORGED_BELLS: _forge,
    Fault.LEAP: _leap,
    Fault.CRASH_POINT: _await_crash,
}
