"""Reliability costs no extra statement while nothing goes wrong."""

from delivery.vocabulary import Channel, State
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.deliver import deliver
from tests.support.fixtures import Fixtures
from tests.support.statements import counted


def test_one_message_costs_six_statements(fixtures: Fixtures, context: StepContext) -> None:
    account_id = fixtures.account(Channel.EMAIL)
    incoming = fixtures.incoming(account_id)

    with counted(context.database) as accepted:
        fixtures.accept(incoming)
    with counted(context.database) as decided:
        decide(context, [incoming.message_id])
    (recipient_id,) = fixtures.recipient_ids(incoming.message_id)
    with counted(context.database) as delivered:
        deliver(context, [recipient_id])

    # Accept; lock, read the recipients, record; claim, record.
    assert (1, 3, 2) == (len(accepted), len(decided), len(delivered))
    assert [State.DELIVERED] == fixtures.states(incoming.message_id)
