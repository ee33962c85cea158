"""Huey: a task a recipient, each with a session of its own, and a counter in the row. Results are turned off."""

from huey import RedisHuey
from sqlalchemy import select
from sqlalchemy.orm import sessionmaker

from benchmarks.peers.records import COUNT_DOWN, InboxLetter, Preference, Recipient, open_engine, read_variable

huey = RedisHuey("bench", url=read_variable("REDIS_URL"), results=False)
sessions = sessionmaker(open_engine())


@huey.task()
def send_message(message_id: str) -> None:
    """Start a task for each recipient of a message."""
    with sessions() as db:
        recipient_ids = db.scalars(select(Recipient.id).where(Recipient.message_id == message_id)).all()
    for each in recipient_ids:
        deliver(each)


@huey.task()
def deliver(recipient_id: int) -> None:
    """Read one recipient's preference, write the outcome, and count down."""
    with sessions() as db:
        recipient = db.get_one(Recipient, recipient_id)
        preference = db.get_one(Preference, recipient.account_id)
        if preference.is_closed:
            recipient.state, recipient.reason = "blocked", "closed_to_everybody"
        else:
            recipient.state = "delivered"
            letter = InboxLetter(
                recipient_id=recipient.id, account_id=recipient.account_id, message_id=recipient.message_id
            )
            db.add(letter)
        db.flush()
        db.execute(COUNT_DOWN, {"message_id": recipient.message_id, "good": int(not preference.is_closed)})
        db.commit()
