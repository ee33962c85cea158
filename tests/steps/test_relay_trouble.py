"""A relay that refuses us is seen: one log line a minute, a fault of `doctor` and a line in `queues`, on every host."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from delivery.channels.email.relay_health import RelayHealth
from delivery.rules.relay_trouble import RelayTrouble, relay_advice
from delivery.settings import Settings
from delivery.vocabulary import Channel
from tasks.context import StepContext
from tests.support import build
from tests.support.fixtures import Fixtures
from tests.support.smtp_sender import make_sender
from tests.support.smtp_server import hang_up, open_smtp_server
from tests.support.step_driver import RecordingSender
from tests.support.workers import open_monitor
from worker.cli.app import app

WORDS = "535 5.7.8 authentication failed for [address]"


def test_a_refusal_is_logged_once_a_minute_without_addresses_and_cleared_by_a_mail() -> None:
    now = [100.0]
    health = RelayHealth(lambda: now[0])

    with capture_logs() as logs:
        health.refused("535 5.7.8 authentication failed for ada@example.org")
        now[0] += 59
        health.refused("535 again")
        now[0] += 1
        health.refused("535 at last")
        health.took_mail()

    assert [WORDS, "535 at last", None] == [each.get("words") for each in logs]
    assert ["relay_refused_us", "relay_refused_us", "relay_recovered"] == [each["event"] for each in logs]
    assert health.trouble is None


def test_a_refusal_soon_after_the_relay_let_us_in_continues_the_trouble_before() -> None:
    health = RelayHealth()
    health.refused("421 too busy")
    assert health.trouble is not None
    since = health.trouble.since

    health.reached()
    health.refused("421 too busy")

    assert health.trouble is not None
    assert since == health.trouble.since


@pytest.mark.parametrize(
    ("stage", "reply"),
    [
        ("CONNECT", "554 5.7.1 blocked"),
        ("RCPT", "554 5.7.1 Relay access denied"),
        ("DOT", "550 5.7.1 blocked using zen.spamhaus.org"),
    ],
)
def test_a_refusal_about_us_at_any_stage_is_trouble_and_a_mail_that_is_taken_ends_it(stage: str, reply: str) -> None:
    with open_smtp_server() as smtp_server:
        sender = make_sender(smtp_server)
        smtp_server.next(stage, reply)
        sender.send(build.claimed())
        during = sender.trouble
        sender._pool._is_closed.set()
        with sender._pool._lock:
            sender._pool.is_away = False
        sender.send(build.claimed())
        hang_up(sender)

    assert during is not None
    assert (reply, None) == (during.words, sender.trouble)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (WORDS, "password"),
        ("SSLCertVerificationError: certificate verify failed", "POSTROOM_SMTP_CA_FILE"),
        ("421 too many connections", "POSTROOM_SMTP_CONCURRENCY"),
        ("554 5.7.1 Relay access denied", "log in"),
        ("554 blocked using zen.spamhaus.org", "list"),
        ("ConnectionRefusedError: [Errno 111] Connection refused", "SMTP_URL"),
    ],
)
def test_the_advice_fits_the_words(words: str, part: str) -> None:
    assert part in relay_advice(words)


@pytest.mark.usefixtures("broker")
def test_doctor_and_queues_of_another_host_show_the_trouble_until_it_ends(
    fixtures: Fixtures, context: StepContext, settings: Settings, command: Callable[..., Any]
) -> None:
    del fixtures
    relay = RecordingSender()
    relay.trouble = RelayTrouble(datetime.now(UTC) - timedelta(minutes=12), WORDS)
    context = replace(context, senders={Channel.EMAIL: relay})

    with open_monitor(context, settings) as monitor:
        monitor.check()
        fault, line = command(app, "doctor").output, command(app, "queues").output
        relay.trouble = None
        monitor.check()
        after = command(app, "doctor").output + command(app, "queues").output

    assert f"No mail was taken for 12 min; the relay says: {WORDS}" in fault
    assert "password in SMTP_URL" in fault
    assert (True, True) == ("no mail of worker 1 for 12 minutes" in line, WORDS in line)
    assert WORDS not in after
