"""What kills every worker that touches it is set aside after three deaths; malformed elements kill nobody."""

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
from tests.support.platform import ROOT
from tests.support.process_group import DECIDE, SMTP, ProcessGroup, open_process_group
from tests.support.smtp_server import SmtpServer
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("drills")
_PLACE = ROOT / "tests" / "programs" / "poison"
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
    """Give workers, one of a kind, that look for phrases."""
    del fixtures
    chosen = {"hold_phrases": "wire the money", "send_deadline_s": 3, "smtp_timeout_s": 3}
    with open_process_group(tmp_path, base_settings, smtp_url=smtp_server.url, **chosen) as group:
        yield group


def keep_alive(group: ProcessGroup, deaths: list[int], is_so: Callable[[], object]) -> Callable[[], bool]:
    """Start again whoever died, as a supervisor does, until it is so; note every death."""

    def look() -> bool:
        for name in [each for each in group.processes if each not in group.living]:
            deaths.append(group.processes.pop(name).returncode)
            _start(group, name)
        return bool(is_so())

    return look


def _start(group: ProcessGroup, *names: str) -> None:
    group.start(*names, PYTHONPATH=f"{_PLACE}:{ROOT}")


@pytest.mark.parametrize(
    ("fields", "email", "state"),
    [
        ({"subject": "A poison"}, "ada@example.com", State.ACCEPTED),
        ({}, "poison@example.com", State.RETRYING),
    ],
    ids=["a message", "a recipient"],
)
def test_poison_is_set_aside_after_three_deaths_and_its_neighbours_are_delivered(  # noqa: PLR0917 - pytest's
    fixtures: Fixtures, group: ProcessGroup, smtp_server: SmtpServer, fields: dict[str, Any], email: str, state: State
) -> None:
    neighbours = [fixtures.message(fixtures.account(Channel.EMAIL), fixtures.account()) for _ in range(20)]
    poison = fixtures.message(fixtures.account(Channel.EMAIL, email=email), **fields)
    neighbours += [fixtures.message(fixtures.account(Channel.EMAIL), fixtures.account()) for _ in range(20)]
    fixtures.ask("UPDATE recipient SET due_at = clock_timestamp()")
    deaths: list[int] = []
    _start(group, DECIDE, SMTP)

    wait_until(keep_alive(group, deaths, lambda: [Reason.POISONED] == fixtures.reasons(poison)), within_s=_SETTLED_S)
    wait_until(keep_alive(group, deaths, lambda: _only_open(fixtures, poison)), within_s=_SETTLED_S)

    # A bell notes nothing of what it works on, so that a message may cost one death more: the bell's own.
    assert deaths in ([-9] * 3, [-9] * 4)
    assert [state] == fixtures.states(poison)
    assert 2 * len(neighbours) == _delivered(fixtures)
    assert len(neighbours) == len({each.recipients[0] for each in smtp_server.mails})
    assert [str(poison)] == _shown(group, "queues")["set_aside"]
    assert [str(poison)] == _set_aside(_shown(group, "doctor"))


def test_malformed_elements_kill_no_worker_and_hold_nothing_up(
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
    # Behind the garbage, by its bell; five seconds is what a worker that died of it would have to be back in.
    wait_until(lambda: {State.DELIVERED} == set(fixtures.states(message_id)), within_s=5 + 10)

    wait_until(lambda: 0 == sum(broker.llen(each) for each in QueueName))
    assert before == group.living


def _only_open(fixtures: Fixtures, poison: UUID) -> bool:
    """Return whether only this message is open. Mails that were cut off are due at once, not in two minutes."""
    fixtures.ask("UPDATE recipient SET due_at = clock_timestamp() WHERE state = 'unknown'")
    return _open_messages(fixtures) == [poison]


def _open_messages(fixtures: Fixtures) -> list[UUID]:
    return [row.id for row in fixtures.ask("SELECT id FROM message WHERE open_count > 0")]


def _delivered(fixtures: Fixtures) -> int:
    (row,) = fixtures.ask("SELECT count(*) FROM recipient WHERE state = 'delivered'")
    return int(row[0])


def _shown(group: ProcessGroup, command: str) -> dict[str, Any]:
    """Ask as an operator does."""
    group.run(command, sys.executable, "-m", "worker", command, "--json")
    group.processes.pop(command).wait(_SETTLED_S)
    shown: dict[str, Any] = json.loads((group.folder / f"{command}.log").read_text())
    return shown


def _set_aside(doctor: dict[str, Any]) -> list[str]:
    (line,) = [each for each in doctor["checks"] if each["name"] == "nothing is parked"]
    return list(line["rows"])
