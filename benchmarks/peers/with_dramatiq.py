"""Dramatiq: a group of actors, one a recipient, with a completion callback, as its cookbook teaches."""

import dramatiq
import redis
from dramatiq import group
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import GroupCallbacks
from dramatiq.rate_limits.backends import RedisBackend
from sqlalchemy import select
from sqlalchemy.orm import sessionmaker

from benchmarks.peers.records import NOW, InboxLetter, Message, Preference, Recipient, open_engine, read_variable

_client = redis.Redis.from_url(read_variable("REDIS_URL"))
broker = RedisBroker(client=_client)
broker.add_middleware(GroupCallbacks(RedisBackend(client=_client)))
dramatiq.set_broker(broker)
sessions = sessionmaker(open_engine())


@dramatiq.actor
def send_message(message_id: str) -> None:
    """Start an actor for each recipient of a message, and one for the end."""
    with sessions() as db:
        recipient_ids = db.scalars(select(Recipient.id).where(Recipient.message_id == message_id)).all()
    deliveries = group([deliver.message(each) for each in recipient_ids])
    deliveries.add_completion_callback(combine.message(message_id))
    deliveries.run()


@dramatiq.actor
def deliver(recipient_id: int) -> None:
    """Read one recipient's preference and write the outcome."""
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
        db.commit()


@dramatiq.actor
def combine(message_id: str) -> None:
    """Set a message's final status from its recipients."""
    with sessions() as db:
        states = db.scalars(select(Recipient.state).where(Recipient.message_id == message_id)).all()
        message = db.get_one(Message, message_id)
        message.status = "sent" if "delivered" in states else "rejected"
        message.settled_count += 1
        message.settled_at = NOW  # type: ignore[assignment] # SQLAlchemy takes an expression
        db.commit()
