"""What a full disk does to the log and to the mail sink, each in a process of its own."""

import subprocess
import sys
from pathlib import Path
from typing import TextIO

_LOGS = """
import logging, structlog
from delivery.logs import configure_logs
configure_logs("INFO")
for _ in range(1000):
    structlog.get_logger().warning("store_unavailable")
    logging.getLogger("celery").error("what a library says")
print("still at work")
"""
# At this limit a file is written in part, as on a full disk.
_STORES = """
import resource, sys
from pathlib import Path
from worker.embedded.mail_sink import MailStore
folder = Path(sys.argv[1])
mail_store = MailStore(folder)
limit = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
try:
    mail_store.keep(["ada@example.com"], b"x" * 2000)
except OSError:
    print("refused")
resource.setrlimit(resource.RLIMIT_FSIZE, limit)
mail_store.keep(["ada@example.com"], b"small")
print([mail.raw for mail in MailStore(folder).mails()])
"""


def test_a_log_that_cannot_be_written_stops_no_process() -> None:
    with Path("/dev/full").open("w") as full:
        printed = output_of(_LOGS, stderr=full)

    assert ["still at work"] == printed


def test_a_mail_that_does_not_fit_is_refused_and_the_next_one_is_stored(tmp_path: Path) -> None:
    printed = output_of(_STORES, str(tmp_path))

    assert ["refused", "['small']"] == printed


def output_of(program: str, *arguments: str, stderr: TextIO | None = None) -> list[str]:
    """Run a program and return the lines that it printed."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, text=True, check=False, timeout=60)
    return done.stdout.splitlines()
