"""A recipient or message that crashes workers is parked after three crashes; malformed elements crash no worker."""

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from redis import Redis

from delivery.settings import Settings
from delivery.vocabulary import Channel, QueueName, Reason, State, StepName
from tasks.app import make_app
from tests.support.fixtures import Fixtures
from tests.support.process_group import DECIDE, SMTP, ProcessGroup, open_process_group
from tests.support.processes import ROOT
from tests.support.smtp_server import SmtpServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("drills")
_CRASHING_PATCH = ROOT / "tests" / "programs" / "poison"
_SETTLED_S = 90.0
_GARBAGE = (
    *("x", "{}", "[]", "null", "7", b"\xff\x00", "[" * 100_000),
    *('{"body": "%%%"}', '{"headers": 1, "properties": [], "body": 3}'),
    *(
        '{"headers": {"task": "messages.deliver"}, "body": "W10="}',
        '{"properties": {"delivery_info": null}, "body": ""}',
    ),
)


@pytest.fixture
def group(
    fixtures: Fixtures, base_settings: Settings, tmp_path: Path, smtp_server: SmtpServer
) -> Iterator[ProcessGroup]:
    """Yield a process group whose workers look for phrases and have short timeouts."""
    del fixtures
    chosen = {"hold_phrases": "wire the money", "send_deadline_s": 3, "smtp_timeout_s": 3}
    with open_process_group(tmp_path, base_settings, smtp_url=smtp_server.url, **chosen) as group:
        yield group


def restarting(group: ProcessGroup, exit_codes: list[int], condition: Callable[[], object]) -> Callable[[], bool]:
    """Return a check that restarts crashed processes as a supervisor does, and adds their exit codes to the list."""

    def restart_and_check() -> bool:
        for name in [each for each in group.processes if each not in group.living]:
            exit_codes.append(group.processes.pop(name).returncode)
            _start(group, name)
        return bool(condition())

    return restart_and_check


def _start(group: ProcessGroup, *names: str) -> None:
    group.start(*names, PYTHONPATH=f"{_CRASHING_PATCH}:{ROOT}")


@pytest.mark.parametrize(
    ("fields", "email", "state"),
    [
        ({"subject": "A ☠"}, "ada@example.com", State.ACCEPTED),
        ({}, "poison@example.com", State.RETRYING),
    ],
    ids=["a message", "a recipient"],
)
def test_poison_is_parked_after_three_crashes_and_other_messages_are_delivered(  # noqa: PLR0917 - pytest's
    fixtures: Fixtures, group: ProcessGroup, smtp_server: SmtpServer, fields: dict[str, Any], email: str, state: State
) -> None:
    others = [fixtures.message(fixtures.account(Channel.EMAIL), fixtures.account()) for _ in range(20)]
    poison = fixtures.message(fixtures.account(Channel.EMAIL, email=email), **fields)
    others += [fixtures.message(fixtures.account(Channel.EMAIL), fixtures.account()) for _ in range(20)]
    fixtures.run_sql("UPDATE recipient SET due_at = clock_timestamp()")
    exit_codes: list[int] = []
    _start(group, DECIDE, SMTP)

    wait_until(
        restarting(group, exit_codes, lambda: [Reason.POISONED] == fixtures.reasons(poison)), within_s=_SETTLED_S
    )
    wait_until(restarting(group, exit_codes, lambda: _only_open(fixtures, poison)), within_s=_SETTLED_S)

    # A bell does not record what it works on, so a message may crash one worker more: the one that read its bell.
    assert exit_codes in ([-9] * 3, [-9] * 4)
    assert [state] == fixtures.states(poison)
    assert 2 * len(others) == _delivered(fixtures)
    assert len(others) == len({each.recipients[0] for each in smtp_server.mails})
    assert [str(poison)] == _run_command(group, "queues")["set_aside"]
    assert [str(poison)] == _parked_of(_run_command(group, "doctor"))


def test_malformed_elements_crash_no_worker_and_delay_no_message(
    fixtures: Fixtures, group: ProcessGroup, broker: Redis, base_settings: Settings
) -> None:
    group.start(DECIDE, SMTP)
    group.await_ready(fixtures.database)
    before = group.living
    for queue in QueueName:
        for element in _GARBAGE:
            broker.lpush(queue, element)

    message_id = fixtures.message(fixtures.account(), fixtures.account(Channel.EMAIL))
    app = make_app(base_settings)
    app.send_task(StepName.DECIDE, ([str(message_id)],), queue=QueueName.DECIDE, retry=False)
    app.close()
    # The bell is behind the malformed elements. A crashed worker would have five seconds to be back.
    wait_until(lambda: {State.DELIVERED} == set(fixtures.states(message_id)), within_s=5 + 10)

    wait_until(lambda: 0 == sum(broker.llen(each) for each in QueueName))
    assert before == group.living


def _only_open(fixtures: Fixtures, poison: UUID) -> bool:
    """Make interrupted mails due at once, not in two minutes, and return whether only this message is open."""
    fixtures.run_sql("UPDATE recipient SET due_at = clock_timestamp() WHERE state = 'unknown'")
    return _open_messages(fixtures) == [poison]


def _open_messages(fixtures: Fixtures) -> list[UUID]:
    return [row.id for row in fixtures.run_sql("SELECT id FROM message WHERE open_count > 0")]


def _delivered(fixtures: Fixtures) -> int:
    (row,) = fixtures.run_sql("SELECT count(*) FROM recipient WHERE state = 'delivered'")
    return int(row[0])


def _run_command(group: ProcessGroup, command: str) -> dict[str, Any]:
    """Run a command as an operator does, and return its JSON output."""
    group.run(command, sys.executable, "-m", "worker", command, "--json")
    group.processes.pop(command).wait(_SETTLED_S)
    output: dict[str, Any] = json.loads((group.folder / f"{command}.log").read_text())
    return output


def _parked_of(doctor: dict[str, Any]) -> list[str]:
    (line,) = [each for each in doctor["checks"] if each["name"] == "nothing is parked"]
    return list(line["rows"])
