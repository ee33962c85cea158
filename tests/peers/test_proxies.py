"""Behind nginx and haproxy, clients notice nothing of a rolling restart of two API processes."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TypeAlias

import httpx2
import pytest

from delivery.settings import Settings
from tests.peers.proxies import open_haproxy, open_nginx
from tests.support.api_client import key_of, post
from tests.support.fixtures import Fixtures
from tests.support.process_group import API, ProcessGroup, open_process_group
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.xdist_group("proxies"), pytest.mark.timeout(300)]
Opener: TypeAlias = Callable[[Path, tuple[int, int]], AbstractContextManager[str]]
_STOPPED_S = 30.0
# More than nginx's fail_timeout and haproxy's interval between two checks.
_PAUSE_S = 2.0


@pytest.mark.parametrize("opener", [open_nginx, open_haproxy])
def test_a_rolling_restart_of_two_api_processes_costs_no_request(
    opener: Opener, fixtures: Fixtures, base_settings: Settings, open_folder: Path, tmp_path: Path
) -> None:
    account = fixtures.account()
    unlimited = {"requests_per_minute": 1_000_000, "recipients_per_minute": 1_000_000}
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with (
        open_process_group(tmp_path / "one", base_settings, **unlimited) as one,
        open_process_group(tmp_path / "two", base_settings, **unlimited) as two,
        opener(open_folder / opener.__name__, (one.port, two.port)) as url,
    ):
        key = key_of(fixtures, base_settings, fixtures.client_id)
        for group in (one, two):
            group.start(API)
            group.await_ready(fixtures.database)
        wait_until(lambda: httpx2.get(f"{url}/readyz").status_code == 200)
        with clients_at_work(url, lambda http: post(http, key, account, prefer="respond-async")) as answers:
            for group in (one, two):
                restart(group, fixtures)
                threading.Event().wait(_PAUSE_S)

    assert {201} == set(answers), answers
    assert answers[201] == fixtures.count("message")


def restart(group: ProcessGroup, fixtures: Fixtures) -> None:
    """Stop an API process in order, start it again and wait until it is ready."""
    group.stop(API, within_s=_STOPPED_S)
    group.start(API)
    group.await_ready(fixtures.database)


@contextmanager
def clients_at_work(url: str, send: Callable[[httpx2.Client], httpx2.Response]) -> Iterator[Counter[int]]:
    """Send from two clients until the block ends, and yield the counts of the status codes."""
    answers: Counter[int] = Counter()
    is_done = threading.Event()

    def work() -> None:
        with httpx2.Client(base_url=url, timeout=20) as http:
            while not is_done.wait(0.02):
                answers[send(http).status_code] += 1

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        is_done.set()
        for thread in threads:
            thread.join()
