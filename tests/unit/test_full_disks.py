"""What a full disk does to the log and to the mail sink; each in a process that the limit holds for."""

import subprocess
import sys
from pathlib import Path
from typing import TextIO

_TELLS = """
import logging, structlog
from delivery.logs import configure_logs
configure_logs("INFO")
for _ in range(1000):
    structlog.get_logger().warning("store_unavailable")
    logging.getLogger("celery").error("what a library says")
print("still at work")
"""
# At its limit a file is written in part, as on a full disk.
_KEEPS = """
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


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    with Path("/dev/full").open("w") as full:
        told = said_by(_TELLS, stderr=full)

    assert ["still at work"] == told


def test_a_mail_without_room_is_not_kept_and_the_next_one_is(tmp_path: Path) -> None:
    told = said_by(_KEEPS, str(tmp_path))

    assert ["refused", "['small']"] == told


def said_by(program: str, *arguments: str, stderr: TextIO | None = None) -> list[str]:
    """Run a program and give the lines that it printed."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, text=True, check=False, timeout=60)
    return done.stdout.splitlines()
