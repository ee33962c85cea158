"""What reliability costs while nothing goes wrong: not one statement more than the design has."""

from delivery.vocabulary import Channel, State
from tasks.context import StepContext
from tasks.steps.decide import decide
from tasks.steps.deliver import deliver
from tests.support.fixtures import Book
from tests.support.statements import counted


def test_one_message_costs_the_statements_of_the_design(book: Book, context: StepContext) -> None:
    account_id = book.account(Channel.EMAIL)
    incoming = book.incoming(account_id)

    with counted(context.database) as accepted:
        book.accept(incoming)
    with counted(context.database) as decided:
        decide(context, [incoming.message_id])
    (recipient_id,) = book.recipient_ids(incoming.message_id)
    with counted(context.database) as delivered:
        deliver(context, [recipient_id])

    # Take in; lock, read the recipients, record, mark as decided; claim, record.
    assert (1, 4, 2) == (len(accepted), len(decided), len(delivered))
    assert [State.DELIVERED] == book.states(incoming.message_id)
