"""Tuned Celery: no results and no chord, plain SQL in one transaction, a counter in the row, and a deep prefetch."""

from celery import Celery
from sqlalchemy import text

from benchmarks.peers.records import COUNT_DOWN, open_engine, read_variable

app = Celery("tuned", broker=read_variable("CELERY_URL"))
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=32, worker_send_task_events=False)
engine = open_engine()

_RECIPIENTS = text("SELECT id FROM recipient WHERE message_id = :message_id")
_READ = text("""
    SELECT recipient.message_id, recipient.account_id, preference.is_closed
    FROM recipient JOIN preference ON preference.account_id = recipient.account_id WHERE recipient.id = :id
""")
_BLOCK = text("UPDATE recipient SET state = 'blocked', reason = 'closed_to_everybody' WHERE id = :id")
_DELIVER = text("""
    WITH letter AS (INSERT INTO inbox_letter (recipient_id, account_id, message_id)
        VALUES (:id, :account_id, :message_id))
    UPDATE recipient SET state = 'delivered' WHERE id = :id
""")


@app.task(name="tuned.send_message")
def send_message(message_id: str) -> None:
    """Start a task for each recipient of a message, all over one connection to the broker."""
    with engine.connect() as db:
        recipient_ids = db.scalars(_RECIPIENTS, {"message_id": message_id}).all()
    with app.producer_pool.acquire(block=True) as producer:
        for each in recipient_ids:
            deliver.apply_async((each,), producer=producer)


@app.task
def deliver(recipient_id: int) -> None:
    """Read one recipient's preference, write the outcome, and count down."""
    with engine.begin() as db:
        row = db.execute(_READ, {"id": recipient_id}).one()
        values = {"id": recipient_id, "account_id": row.account_id, "message_id": row.message_id}
        if row.is_closed:
            db.execute(_BLOCK, {"id": recipient_id})
        else:
            db.execute(_DELIVER, values)
        db.execute(COUNT_DOWN, {"message_id": row.message_id, "good": int(not row.is_closed)})
