"""After SIGTERM a process finishes what is under way and exits in time; nothing is lost or done twice."""

import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from uuid import UUID

import pytest
from sqlalchemy import text

from chaos.fault_proxy import FaultProxy, open_fault_proxy
from delivery.records.database import disable_idle_timeout, transaction
from delivery.settings import Settings
from delivery.vocabulary import Channel, State
from tasks.broker.doorbell import SilentDoorbell
from tasks.context import StepContext
from tasks.steps.decide import decide
from tests.support.api_client import key_of
from tests.support.fixtures import Fixtures
from tests.support.process_group import API, DECIDE, SMTP, ProcessGroup, open_process_group
from tests.support.processes import START_S
from tests.support.smtp_server import SmtpServer, Trouble
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("drills")
_SETTLED_S = 60.0
# The time of an API process from SIGTERM to SIGKILL in docker-compose.yml.
_API_STOP_GRACE_S = 15.0
_MAILS = 12
_MESSAGES = 3_000
_INBOX_LETTERS = 25 * _MESSAGES
_WAITING_FOR_A_LOCK = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
def proxy(smtp_server: SmtpServer) -> Iterator[FaultProxy]:
    """Yield a proxy before the relay."""
    with open_fault_proxy(smtp_server.port) as proxy:
        yield proxy


@pytest.fixture
def group(fixtures: Fixtures, base_settings: Settings, tmp_path: Path, proxy: FaultProxy) -> Iterator[ProcessGroup]:
    """Yield a process group without bells, which sends four mails at once with a deadline of 3 s each."""
    chosen = {"bell": False, "smtp_concurrency": 4, "smtp_timeout_s": 3, "send_deadline_s": 3}
    with open_process_group(tmp_path, base_settings, smtp_url=f"smtp://127.0.0.1:{proxy.port}", **chosen) as group:
        group.key = key_of(fixtures, base_settings, fixtures.client_id)
        yield group


def queue_mails(fixtures: Fixtures, settings: Settings) -> list[UUID]:
    """Queue a dozen mails, due at once, and return the ids of their messages."""
    ids = [fixtures.message(fixtures.account(Channel.EMAIL)) for _ in range(_MAILS)]
    decide(StepContext(settings, fixtures.database, SilentDoorbell()), ids)
    fixtures.run_sql("UPDATE recipient SET due_at = clock_timestamp()")
    return ids


def test_a_worker_stopped_while_it_sends_finishes_every_mail_that_it_began(
    fixtures: Fixtures, group: ProcessGroup, smtp_server: SmtpServer, proxy: FaultProxy, base_settings: Settings
) -> None:
    queue_mails(fixtures, base_settings)
    proxy.delay(0.1)
    group.start(SMTP)
    wait_until(lambda: smtp_server.mails, within_s=START_S)

    code = group.stop(SMTP)
    states_at_exit = dict(fixtures.run_sql("SELECT state, count(*) FROM recipient GROUP BY state"))
    proxy.let_flow()
    group.start(SMTP)
    wait_until(lambda: _have_state(fixtures, State.DELIVERED, _MAILS), within_s=_SETTLED_S)

    assert 0 == code
    # No attempt is under way or unknown; mails that were not begun are left to the next worker.
    assert set(states_at_exit) <= {State.DELIVERED, State.QUEUED}
    assert 0 < states_at_exit[State.DELIVERED] < _MAILS
    assert _MAILS == len({each.recipients[0] for each in smtp_server.mails}) == len(smtp_server.mails)
    assert [] == fixtures.run_sql("SELECT id FROM recipient WHERE possibly_duplicated OR attempt > 1")


def test_a_relay_that_does_not_reply_delays_a_stop_by_one_deadline_at_most(
    fixtures: Fixtures, group: ProcessGroup, smtp_server: SmtpServer, base_settings: Settings
) -> None:
    queue_mails(fixtures, base_settings)
    smtp_server.always("RCPT", Trouble.HANG)
    group.start(SMTP)
    wait_until(lambda: any(each.startswith("RCPT") for each in smtp_server.commands), within_s=START_S)

    # The deadline of 3 s; the rest is for a busy machine.
    code = group.stop(SMTP, within_s=3 + 12)

    assert 0 == code
    assert [] == fixtures.run_sql("SELECT id FROM recipient WHERE state IN ('claimed', 'unknown')")


def test_a_worker_stopped_while_it_decides_omits_and_repeats_no_inbox_letter(
    fixtures: Fixtures, group: ProcessGroup
) -> None:
    accounts = fixtures.accounts(25)
    for _ in range(_MESSAGES):
        fixtures.message(*accounts)
    fixtures.run_sql("UPDATE recipient SET due_at = clock_timestamp()")
    group.start(DECIDE)
    wait_until(lambda: fixtures.count("inbox_letter"), within_s=START_S)

    code = group.stop(DECIDE)
    delivered_at_exit = fixtures.count("inbox_letter")
    group.start(DECIDE)
    wait_until(lambda: _have_state(fixtures, State.DELIVERED, _INBOX_LETTERS), within_s=_SETTLED_S)

    assert 0 == code
    assert 0 < delivered_at_exit < _INBOX_LETTERS
    assert _INBOX_LETTERS == fixtures.count("inbox_letter")


def test_a_worker_stopped_during_a_decision_commits_it_first(fixtures: Fixtures, group: ProcessGroup) -> None:
    message_id = fixtures.message(fixtures.account())
    fixtures.run_sql("UPDATE recipient SET due_at = clock_timestamp()")
    group.start(DECIDE)
    with transaction(fixtures.database) as db:
        disable_idle_timeout(db)
        db.execute(text("SELECT id FROM recipient FOR UPDATE"))
        wait_until(lambda: fixtures.run_sql(_WAITING_FOR_A_LOCK), within_s=START_S)

        group.send_signal(DECIDE, signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            group.processes[DECIDE].wait(1)

    assert 0 == group.processes.pop(DECIDE).wait(_SETTLED_S)
    assert [State.DELIVERED] == fixtures.states(message_id)


def test_a_request_that_waits_for_its_verdict_is_answered_when_the_api_is_stopped(
    fixtures: Fixtures, group: ProcessGroup
) -> None:
    account_id = fixtures.account()
    group.start(API)
    group.await_ready(fixtures.database)

    with ThreadPoolExecutor() as pool:
        request = pool.submit(group.post, account_id, prefer="wait=10")
        wait_until(lambda: fixtures.count("message"))
        started_at = monotonic()
        code = group.stop(API)
        took_s = monotonic() - started_at
        answer = request.result()

    # uvicorn raises the signal again after its shutdown, so that the exit code shows it to the parent process.
    assert code in {0, -signal.SIGTERM}
    assert (201, "in_delivery") == (answer.status_code, answer.json()["meta"]["status_reason"])
    assert took_s < _API_STOP_GRACE_S


def _have_state(fixtures: Fixtures, state: State, number: int) -> bool:
    (row,) = fixtures.run_sql("SELECT count(*) FROM recipient WHERE state = :state", state=state)
    return bool(row[0] == number)
