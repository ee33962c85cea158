"""How many threads a worker process of each lane has."""

import pytest

from tasks.lanes import LANES, LaneName
from tests.support import build


@pytest.mark.parametrize(("connections", "threads"), [(32, 40), (4, 5), (1, 2)])
def test_a_worker_that_sends_has_a_quarter_more_threads_than_connections_to_the_relay(
    connections: int, threads: int
) -> None:
    assert threads == LANES[LaneName.SMTP].concurrency(build.settings(smtp_concurrency=connections))
