"""Textbook Celery: a chord with one task a recipient, each with a session of its own, and a callback that combines.

See "Canvas: Designing Work-flows" in Celery's manual. Redis is broker and result backend.
"""

import smtplib
from email.message import EmailMessage

from celery import Celery, chord
from sqlalchemy import select
from sqlalchemy.orm import Session, sessionmaker

from benchmarks.peers.records import (
    NOW,
    Account,
    InboxLetter,
    Message,
    Preference,
    Recipient,
    open_engine,
    read_variable,
)

app = Celery("textbook", broker=read_variable("CELERY_URL"), backend=read_variable("CELERY_URL"))
app.conf.update(task_acks_late=True, result_expires=600)
sessions = sessionmaker(open_engine())


@app.task(name="textbook.decide", ignore_result=True)
def send_message(message_id: str) -> None:
    """Start a task for each recipient of a message, and one for the end."""
    with sessions() as db:
        recipient_ids = db.scalars(select(Recipient.id).where(Recipient.message_id == message_id)).all()
    chord([deliver.s(each) for each in recipient_ids])(combine.s(message_id))


@app.task
def deliver(recipient_id: int) -> bool:
    """Read one recipient's preference and write the outcome. Return whether the recipient was reached."""
    with sessions() as db:
        recipient = db.get_one(Recipient, recipient_id)
        preference = db.get_one(Preference, recipient.account_id)
        if preference.is_closed:
            recipient.state, recipient.reason = "blocked", "closed_to_everybody"
        elif preference.channel == "email":
            _mail(db, recipient)
            recipient.state = "delivered"
        else:
            recipient.state = "delivered"
            letter = InboxLetter(
                recipient_id=recipient.id, account_id=recipient.account_id, message_id=recipient.message_id
            )
            db.add(letter)
        is_good = recipient.state == "delivered"
        db.commit()
    return is_good


@app.task(ignore_result=True)
def combine(results: list[bool] | bool, message_id: str) -> None:  # noqa: FBT001 - Celery passes it so
    """Set a message's final status. A chord of one task passes its result without a list."""
    with sessions() as db:
        message = db.get_one(Message, message_id)
        message.status = "sent" if results is True or (results and any(results)) else "rejected"
        message.settled_count += 1
        message.settled_at = NOW  # type: ignore[assignment] # SQLAlchemy takes an expression
        db.commit()


def _mail(db: Session, recipient: Recipient) -> None:
    """Send one mail, as the standard library's manual does it."""
    message, account = db.get_one(Message, recipient.message_id), db.get_one(Account, recipient.account_id)
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "postroom@example.com", account.email, message.subject
    mail.set_content(message.body)
    with smtplib.SMTP("127.0.0.1", int(read_variable("SMTP_PORT"))) as smtp:
        smtp.send_message(mail)
