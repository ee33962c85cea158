"""What a worker process of each lane works with."""

import pytest

from tasks.lanes import LANES, LaneName
from tests.support import build


@pytest.mark.parametrize(("lines", "hands"), [(32, 40), (4, 5), (1, 2)])
def test_a_worker_that_sends_has_a_quarter_more_hands_than_lines_to_the_relay(lines: int, fan_out: int) -> None:
    assert fan_out == LANES[LaneName.SMTP].concurrency(build.settings(smtp_concurrency=lines))
