"""No address or account gets more than its limit an hour from all clients, and one mail is enough for one mailbox."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from delivery.rules.outcomes import Outcome, OutcomeKind
from delivery.rules.same_mailbox import FOLLOW_IN
from delivery.vocabulary import Channel, Reason, State
from tasks.concurrency.recipient_limits import RecipientLimits
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.deliver import deliver
from tests.support.fixtures import Fixtures
from tests.support.statements import counted
from tests.support.step_driver import RecordingSender

AN_HOUR = timedelta(hours=1)
LATER = (State.RETRYING, Reason.TRY_LATER)


def limited(context: StepContext, *, mails: int = 0, messages: int = 0) -> StepContext:
    """Make the context of one more process with these limits."""
    chosen = {"mails_per_address_per_hour": mails, "messages_per_account_per_hour": messages}
    settings = context.settings.model_copy(update=chosen)
    return replace(context, settings=settings, recipient_limits=RecipientLimits(settings, context.database))


def send(context: StepContext, fixtures: Fixtures, *account_ids: UUID) -> UUID:
    """Send one message to these accounts, as far as it goes now."""
    message_id = fixtures.message(*account_ids)
    decide(context, [message_id])
    deliver(context, fixtures.recipient_ids(message_id))
    return message_id


def test_an_address_gets_its_limit_an_hour_from_all_clients_and_accounts_and_the_rest_waits_for_room(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    context = limited(context, mails=3)
    ids = [fixtures.account(Channel.EMAIL, email=email) for email in ("v@example.com", "V+1@example.com")]
    message_ids = []
    for number in range(6):
        fixtures.client_id = fixtures.client()
        message_ids.append(send(context, fixtures, ids[number % 2]))

    waiting = [fixtures.recipient(each) for each in message_ids[3:]]
    dues = [each.due_at - each.changed_at for each in waiting if each.due_at]

    assert 3 == len(relay.letters)
    assert [LATER] * 3 == [(each.state, each.reason) for each in waiting]
    assert timedelta(minutes=55) < dues[0] < dues[1] < dues[2] < 2 * AN_HOUR


def test_what_waited_goes_out_when_there_is_room_and_no_more_than_that(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    context = limited(context, mails=2)
    account_id = fixtures.account(Channel.EMAIL)
    waiting = [send(context, fixtures, account_id) for _ in range(5)][2:]
    fixtures.let_pass(3 * AN_HOUR)
    fixtures.run_sql("UPDATE tally SET ends_at = ends_at - interval '3 hours', queued_until = '-infinity'")

    deliver(context, [each for message_id in waiting for each in fixtures.recipient_ids(message_id)])

    assert 4 == len(relay.letters)
    assert [State.DELIVERED, State.DELIVERED, State.RETRYING] == [fixtures.recipient(each).state for each in waiting]


def test_processes_and_threads_at_once_send_no_more_than_the_limit(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    processes = [limited(context, mails=5, messages=9) for _ in range(4)]
    account_id = fixtures.account(Channel.EMAIL)
    message_ids = [fixtures.message(account_id) for _ in range(40)]
    decide(context, message_ids)
    ids = [fixtures.recipient(each).recipient_id for each in message_ids]

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: deliver(processes[number % 4], [ids[number]]), range(40)))

    assert 5 == len(relay.letters)


def test_a_process_asks_only_about_addresses_that_get_many_and_passes_at_most_a_tenth_unasked(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    context = limited(context, mails=20, messages=1000)
    account_id = fixtures.account(Channel.EMAIL)
    message_ids = [fixtures.message(account_id) for _ in range(25)]
    decide(context, message_ids)
    ids = [fixtures.recipient(each).recipient_id for each in message_ids]

    with counted(context.database) as statements:
        deliver(context, ids[:2])
    deliver(context, ids[2:])

    assert 3 == len(statements)  # As without limits: claim, and record each mail.
    assert 20 == len(relay.letters)


def test_an_inbox_gets_its_limit_an_hour_and_the_rest_later(fixtures: Fixtures, context: StepContext) -> None:
    context = limited(context, messages=2)
    account_id, other = fixtures.account(), fixtures.account()
    message_ids = [fixtures.message(account_id, other) for _ in range(3)]

    decide(context, message_ids)
    deliver(context, fixtures.recipient_ids(message_ids[2]))

    assert [State.DELIVERED] * 2 == fixtures.states(message_ids[1])
    assert [LATER] * 2 == [(each.state, each.reason) for each in fixtures.view(message_ids[2]).recipients]
    fixtures.let_pass(3 * AN_HOUR)
    deliver(limited(context), fixtures.recipient_ids(message_ids[2]))
    assert (3, [State.DELIVERED] * 2) == (len(fixtures.inbox(account_id)), fixtures.states(message_ids[2]))


def test_accounts_with_one_address_get_one_mail_of_a_message_and_count_as_reached_once_it_has_left(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    ids = [fixtures.account(Channel.EMAIL, email=f"{'v' if n % 2 else 'V'}@example.com") for n in range(25)]
    message_id = fixtures.message(*ids)
    decide(context, [message_id])
    followers = fixtures.recipient_ids(message_id)[1:]

    deliver(context, followers)
    early = fixtures.states(message_id)
    deliver(context, fixtures.recipient_ids(message_id))
    fixtures.let_pass(FOLLOW_IN)
    deliver(context, followers)

    assert [State.QUEUED, *[State.RETRYING] * 24] == early
    assert (1, (0, 25, "sent")) == (len(relay.letters), fixtures.counters(message_id))
    assert [None, *[Reason.SAME_MAILBOX] * 24] == fixtures.reasons(message_id)


def test_when_the_mailbox_refuses_the_one_mail_all_accounts_with_the_address_have_failed(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    relay.answer = lambda _: Outcome(OutcomeKind.PERMANENT, Reason.MAILBOX_REFUSED)
    message_id = send(context, fixtures, *[fixtures.account(Channel.EMAIL, email="v@example.com") for _ in range(3)])
    fixtures.let_pass(FOLLOW_IN)

    deliver(context, fixtures.recipient_ids(message_id))

    assert ([State.FAILED] * 3, [Reason.MAILBOX_REFUSED] * 3, 1) == (
        fixtures.states(message_id),
        fixtures.reasons(message_id),
        len(relay.letters),
    )


def test_when_the_first_account_wants_no_mail_any_more_the_next_with_the_address_gets_it(
    fixtures: Fixtures, context: StepContext, relay: RecordingSender
) -> None:
    first, *others = [fixtures.account(Channel.EMAIL, email="v@example.com") for _ in range(3)]
    message_id = fixtures.message(first, *others)
    decide(context, [message_id])
    fixtures.run_sql("UPDATE preference SET is_closed = true WHERE account_id = :id", id=first)

    for _ in range(3):
        deliver(context, fixtures.recipient_ids(message_id))
        fixtures.let_pass(AN_HOUR)

    assert [State.BLOCKED, State.DELIVERED, State.DELIVERED] == fixtures.states(message_id)
    assert [others[0]] == [each.account_id for each in relay.letters]
