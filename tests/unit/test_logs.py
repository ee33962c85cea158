"""Logging never breaks the work."""

import subprocess
import sys

from tests.shape.codebase import ROOT

PROGRAM = """
import io, sys
sys.stderr = io.StringIO()
import structlog
from delivery.logs import configure_logs
configure_logs("INFO")
sys.stderr.close()
structlog.get_logger().error("an_event")
print("done")
"""


def test_an_event_for_a_stream_that_was_closed_is_dropped() -> None:
    ended = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)

    assert "done\n" == ended.stdout
