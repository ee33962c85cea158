"""A worker that the database does not confirm ends no mail, because another host may soon send it."""

from uuid import UUID

import pytest

from delivery.channels.email.sender import SmtpSender
from delivery.life_sign import CONFIRMED_WITHIN_S, LifeSign
from delivery.rules.outcomes import Attempt, Outcome, OutcomeKind, next_transition
from delivery.rules.worker_deaths import LOST_HOST_WAIT, after_death
from delivery.settings import Settings
from delivery.vocabulary import Channel, State
from tasks.context import StepContext
from tests.support import build
from tests.support.smtp_server import hang_up, open_smtp_server
from tests.support.workers import open_monitor


@pytest.mark.parametrize(
    ("silent_s", "kind", "mails"),
    [(CONFIRMED_WITHIN_S - 1, OutcomeKind.SENT, 1), (CONFIRMED_WITHIN_S, OutcomeKind.UNTRIED, 0)],
)
def test_a_worker_that_is_not_confirmed_ends_no_mail(silent_s: float, kind: OutcomeKind, mails: int) -> None:
    now = [100.0]
    life_sign = LifeSign(lambda: now[0])
    now[0] += silent_s
    with open_smtp_server() as smtp_server:
        sender = SmtpSender(build.settings(smtp_url=smtp_server.url), life_sign=life_sign)
        outcome = sender.send(build.claimed())
        hang_up(sender)

    assert (kind, mails) == (outcome.kind, len(smtp_server.mails))


def test_each_check_of_the_liveness_monitor_confirms_the_worker(context: StepContext, settings: Settings) -> None:
    life_sign = LifeSign()
    life_sign.confirm(-1000.0)
    before = life_sign.is_recent

    with open_monitor(context, settings, life_sign=life_sign) as monitor:
        monitor.check()

    assert (False, True) == (before, life_sign.is_recent)


@pytest.mark.parametrize("number", [1, 5])
def test_mails_of_a_lost_host_move_again_soon_whatever_their_attempt_and_flagged(number: int) -> None:
    attempt = Attempt(1, UUID(int=1), number, Channel.EMAIL)

    lost = next_transition(attempt, after_death(attempt, None, deaths=1), 0.0, patience=LOST_HOST_WAIT * 15)

    assert (State.UNKNOWN, LOST_HOST_WAIT) == (lost.after, lost.due_in)


def test_a_worker_stops_ending_mails_before_another_one_sends_them() -> None:
    assert CONFIRMED_WITHIN_S <= LOST_HOST_WAIT.total_seconds()
    assert Outcome(OutcomeKind.UNTRIED).due_in < LOST_HOST_WAIT
